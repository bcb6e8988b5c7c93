// SPDX-License-Identifier: GPL-3.0-or-later
// BackHealth: which mail servers failed lately, so that the next login does not wait for them again.
#pragma once

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace postern::session {

// One a reactor. Holds only members that failed and have not served since.
class BackHealth {
 public:
  // A helper may name any address; beyond this many failed ones the book starts anew.
  static constexpr size_t entries_max = 10000;

  // True when the member was well until now: worth a log line.
  bool failed(const Endpoint& member, Duration retry_after, Instant now);
  // True when it had been marked as failed: worth a log line.
  bool served(const Endpoint& member);
  bool is_down(const Endpoint& member, Instant now) const;
  // The members in the order to try: those that are not down first, each group as it was.
  std::vector<Endpoint> order(const std::vector<Endpoint>& members, Instant now) const;

 private:
  absl::flat_hash_map<Endpoint, Instant> down_until_;
};

}  // namespace postern::session
