// SPDX-License-Identifier: GPL-3.0-or-later
// Setup: the configuration as sessions use it, certificates loaded and pools at hand. Immutable; a reload or a renewed
// certificate makes another one, which may share parts with it, and sessions that are logging in keep theirs to the end of the login.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "auth/options.h"
#include "session/pool_view.h"
#include "tls/context.h"

namespace postern::session {

struct Pool {
  PoolOptions options;
  std::shared_ptr<const tls::BackContext> tls;  // present when any member may be reached through TLS
  PoolView view;                                // before any health check
};

struct Setup {
  Options options;
  auth::Mode mode = auth::Mode::Helper;
  std::shared_ptr<const tls::FrontContext> front_tls;
  // By listener: those that ask for certificates have one of their own; null, or not there: the common one.
  std::vector<std::shared_ptr<const tls::FrontContext>> client_tls;
  absl::flat_hash_map<std::string, Pool> pools;  // by name

  const tls::FrontContext& front_of(size_t listener) const {
    return listener < client_tls.size() && client_tls[listener] != nullptr ? *client_tls[listener] : *front_tls;
  }
  // Null: no such pool, which only a helper's answer can ask for.
  const Pool* pool(const std::string& name) const {
    const auto found = pools.find(name);
    return found == pools.end() ? nullptr : &found->second;
  }
};

// What is known of a pool of a setup now: the health checks' word, or before the first one (null) what the configuration
// says. Valid as long as both.
inline const PoolView& view_in(const Pool& pool, const PoolViews* views) {
  if (views == nullptr) return pool.view;
  const auto found = views->find(pool.options.name);
  return found == views->end() ? pool.view : found->second;
}

}  // namespace postern::session
