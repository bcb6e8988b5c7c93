// SPDX-License-Identifier: GPL-3.0-or-later
// Choice: in which order a login tries the members of its pool.
#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "session/back_health.h"
#include "session/counts.h"
#include "session/pool_view.h"

namespace postern::session {

// By the pool's `balance`; then those that are down, as last resort, in the same order. Members that are full
// (`sessions_max`) are there too: only taking one tells for sure (Counts::take).
std::vector<Endpoint> choose_order(const PoolOptions& pool, const PoolView& view, const BackHealth& health,
                                   const Counts& counts, std::string_view user, Instant now);

}  // namespace postern::session
