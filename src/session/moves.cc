// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/moves.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace postern::session {
namespace {

std::string key_of(std::string_view user) {
  std::string key(user);
  absl::AsciiStrToLower(&key);
  return key;
}

// Where the helper sends the user, as one text.
std::string place_of(const auth::Route& route) {
  std::string place = route.pool;
  for (const Endpoint& back : route.backs)
    place += " " + back.text();
  return place;
}

}  // namespace

bool Moves::begin(std::string_view user, const std::optional<Endpoint>& back, Instant until) {
  const std::lock_guard lock(mutex_);
  std::string key = key_of(user);
  if (moves_.size() >= moves_max && !moves_.contains(key)) return false;
  moves_[std::move(key)] = Move{until, back, std::nullopt};
  any_.store(true);
  return true;
}

bool Moves::forget(std::string_view user) {
  const std::lock_guard lock(mutex_);
  const bool known = moves_.erase(key_of(user)) != 0;
  any_.store(!moves_.empty());
  return known;
}

std::optional<Instant> Moves::held_until(std::string_view user, Instant now) {
  if (!any_.load(std::memory_order_acquire)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = moves_.find(key_of(user));
  if (found == moves_.end()) return std::nullopt;
  if (now < found->second.until) return found->second.until;
  // Without a new place, its time was all that there was to it.
  if (!found->second.back) {
    moves_.erase(found);
    any_.store(!moves_.empty());
  }
  return std::nullopt;
}

void Moves::lead(std::string_view user, auth::Route& route) {
  if (!any_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  const auto found = moves_.find(key_of(user));
  if (found == moves_.end() || !found->second.back) return;
  Move& move = found->second;
  const std::string place = place_of(route);
  if (!move.old_place) move.old_place = place;
  const bool knows = std::find(route.backs.begin(), route.backs.end(), *move.back) != route.backs.end();
  if (knows || place != *move.old_place) {
    moves_.erase(found);
    any_.store(!moves_.empty());
    return;
  }
  route.backs = {*move.back};
  route.pool.clear();
}

}  // namespace postern::session
