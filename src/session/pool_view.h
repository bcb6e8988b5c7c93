// SPDX-License-Identifier: GPL-3.0-or-later
// PoolView: what is known of a pool's mail servers at the moment: addresses, health, what they can do. Made by the
// health checks, immutable, the same for all reactors; before the first check it is what the configuration says.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "session/options.h"

namespace postern::session {

struct MemberView {
  Endpoint endpoint;
  uint32_t weight = 1;
  bool down = false;                  // the last check failed
  Instant up_since = Instant::min();  // when it came back; for slow_start
};

struct PoolView {
  std::vector<MemberView> members;  // in the configuration's order; a name stands for all of its addresses
  std::string learned;              // what all members can do, one capability a line; empty: not known
};

using PoolViews = absl::flat_hash_map<std::string, PoolView>;  // by the pool's name

// Before any check: members that are addresses; names are not resolved yet.
PoolView view_of(const PoolOptions& pool);

// What all of these say, one capability a line each. The same keyword with other arguments is kept with the words that
// all have; of a lone number (SIZE) the smallest stays.
std::string shared_capabilities(const std::vector<std::string>& lists);

}  // namespace postern::session
