// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/counts.h"

namespace postern::session {
namespace {

template <typename Map, typename Key>
bool take_one(Map& map, const Key& key, uint32_t max) {
  uint32_t& count = map[key];
  if (max != 0 && count >= max) return false;
  ++count;
  return true;
}

template <typename Map, typename Key>
void release_one(Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found != map.end() && --found->second == 0) map.erase(found);
}

}  // namespace

bool Counts::take(const Endpoint& member, uint32_t max) {
  const std::lock_guard lock(mutex_);
  if (closed_.contains(member)) return false;
  return take_one(members_, member, max);
}

void Counts::release(const Endpoint& member) {
  const std::lock_guard lock(mutex_);
  release_one(members_, member);
}

uint32_t Counts::of(const Endpoint& member) const {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(member);
  return found == members_.end() ? 0 : found->second;
}

bool Counts::close(const Endpoint& member) {
  const std::lock_guard lock(mutex_);
  return closed_.insert(member).second;
}

bool Counts::open(const Endpoint& member) {
  const std::lock_guard lock(mutex_);
  return closed_.erase(member) != 0;
}

bool Counts::is_closed(const Endpoint& member) const {
  const std::lock_guard lock(mutex_);
  return closed_.contains(member);
}

std::vector<Endpoint> Counts::closed() const {
  const std::lock_guard lock(mutex_);
  return {closed_.begin(), closed_.end()};
}

bool Counts::take_user(const std::string& user, uint32_t max) {
  const std::lock_guard lock(mutex_);
  return take_one(users_, user, max);
}

void Counts::release_user(const std::string& user) {
  const std::lock_guard lock(mutex_);
  release_one(users_, user);
}

}  // namespace postern::session
