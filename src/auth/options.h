// SPDX-License-Identifier: GPL-3.0-or-later
// The [auth] section: whom to ask, for how long, and what to remember.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace postern::auth {

enum class Mode : uint8_t {
  Helper,  // the helper verifies and routes
  Back,    // no helper: every user's route is the listener's pool, and the mail server verifies
};

struct CacheOptions {
  uint32_t entries = 100000;        // accepted logins kept; 0 switches the cache off
  uint32_t reject_entries = 20000;  // refused logins kept, in a space of their own
  Duration ttl = std::chrono::minutes(5);
  Duration reject_ttl = std::chrono::seconds(30);  // but see reject_reuse_max in auth/cache.h: it caps this
  Duration stale =
      std::chrono::hours(1);  // how long past `ttl` an accepted login still counts while the helper is down
};

struct Options {
  Mode mode = Mode::Helper;
  std::string helper = "/run/postern/auth.sock";
  Duration timeout = std::chrono::seconds(5);  // for one question
  uint32_t in_flight_max = 1000;               // questions under way, a reactor; more are answered "not now"
  CacheOptions cache;
};

}  // namespace postern::auth
