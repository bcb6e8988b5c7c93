// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/known_networks.h"

#include <algorithm>

namespace postern::helper {

bool KnownNetworks::has(const Subject& subject, Duration known_for, Instant now) const {
  const auto found = by_id_.find(subject.id);
  if (found == by_id_.end() || !subject.network) return false;
  const std::vector<Visit>& visits = found->second->visits;
  return std::any_of(visits.begin(), visits.end(), [&](const Visit& visit) {
    return visit.network == *subject.network && now < visit.when + known_for;
  });
}

void KnownNetworks::add(const Subject& subject, size_t users_max, Instant now) {
  auto found = by_id_.find(subject.id);
  if (found == by_id_.end()) {
    while (users_.size() >= users_max) {
      by_id_.erase(users_.front().id);
      users_.pop_front();
    }
    users_.push_back({subject.id, {}});
    found = by_id_.emplace(subject.id, std::prev(users_.end())).first;
  }
  users_.splice(users_.end(), users_, found->second);
  std::vector<Visit>& visits = found->second->visits;
  std::erase_if(visits, [&](const Visit& visit) { return visit.network == *subject.network; });
  if (visits.size() >= known_nets_max) visits.erase(visits.begin());
  visits.push_back({*subject.network, now});
}

}  // namespace postern::helper
