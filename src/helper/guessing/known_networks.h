// SPDX-License-Identifier: GPL-3.0-or-later
// KnownNetworks: where users got in lately, in bounded memory. Only who knows a password can add to it, so the user who
// was away longest is forgotten first.
#pragma once

#include <list>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "helper/guessing/options.h"
#include "helper/guessing/subject.h"

namespace postern::helper {

// From one thread at a time.
class KnownNetworks {
 public:
  bool has(const Subject& subject, Duration known_for, Instant now) const;
  void add(const Subject& subject, size_t users_max, Instant now);

 private:
  struct Visit {
    Subnet network;
    Instant when;
  };
  struct User {
    UserId id{};
    std::vector<Visit> visits;  // at most known_nets_max, the latest last
  };

  std::list<User> users_;  // the one who came last stands last
  absl::flat_hash_map<UserId, std::list<User>::iterator> by_id_;
};

}  // namespace postern::helper
