// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/back_health.h"

#include <algorithm>

namespace postern::session {

bool BackHealth::failed(const Endpoint& member, Duration retry_after, Instant now) {
  if (down_until_.size() >= entries_max) down_until_.clear();
  return down_until_.insert_or_assign(member, now + retry_after).second;
}

bool BackHealth::served(const Endpoint& member) {
  return !down_until_.empty() && down_until_.erase(member) != 0;
}

bool BackHealth::is_down(const Endpoint& member, Instant now) const {
  const auto found = down_until_.find(member);
  return found != down_until_.end() && now < found->second;
}

std::vector<Endpoint> BackHealth::order(const std::vector<Endpoint>& members, Instant now) const {
  std::vector<Endpoint> ordered = members;
  if (down_until_.empty()) return ordered;
  std::stable_partition(ordered.begin(), ordered.end(), [&](const Endpoint& member) { return !is_down(member, now); });
  return ordered;
}

}  // namespace postern::session
