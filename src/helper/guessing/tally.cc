// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/tally.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace postern::helper {

Counts Tally::look(const Subject& subject, const GuessingOptions& options, Instant now) {
  const std::lock_guard guard(lock_);
  return read(subject, options, now);
}

Counts Tally::count(const Subject& subject, uint64_t digest, const GuessingOptions& options, Instant now) {
  const std::lock_guard guard(lock_);
  const bool known = known_.has(subject, options.known_for, now);
  std::optional<Counter> begun;
  bool repeated = true;
  for (const Counter counter : own_counters) {
    // His own mistakes at home shall not lock him out elsewhere.
    if (!applies(counter, subject) || (known && counter == Counter::User)) continue;
    const Place place = place_of(key_of(counter, subject), options, now);
    forget_old(*place, options.window, now);
    if (place->blocked_until > now) continue;
    if (add(*place, digest, limit_of(counter, options), options, now)) repeated = false;
    if (place->blocked_until > now) begun = counter;
    rank(place);
  }
  Counts counts = read(subject, options, now);
  counts.repeated = repeated;
  counts.begun = begun;
  return counts;
}

void Tally::succeed(const Subject& subject, const GuessingOptions& options, Instant now) {
  const std::lock_guard guard(lock_);
  if (!subject.network) return;
  known_.add(subject, options.entries_max, now);
  const auto found = entries_.find(key_of(Counter::UserAtNetwork, subject));
  if (found == entries_.end()) return;
  by_guilt_[found->second->guilt].erase(found->second);
  entries_.erase(found);
}

size_t Tally::size() const {
  const std::lock_guard guard(lock_);
  return entries_.size();
}

bool Tally::applies(Counter counter, const Subject& subject) {
  return counter == Counter::User || subject.network.has_value();
}

Tally::Key Tally::key_of(Counter counter, const Subject& subject) {
  Key key;
  key.counter = counter;
  if (counter != Counter::Network) key.user = subject.id;
  if (counter != Counter::User && subject.network) key.network = *subject.network;
  return key;
}

void Tally::forget_old(Entry& entry, Duration window, Instant now) {
  std::erase_if(entry.guesses, [&](const Guess& guess) { return guess.when + window <= now; });
}

Counts Tally::read(const Subject& subject, const GuessingOptions& options, Instant now) {
  Counts counts;
  counts.known = known_.has(subject, options.known_for, now);
  for (const Counter counter : own_counters) {
    const auto found = applies(counter, subject) ? entries_.find(key_of(counter, subject)) : entries_.end();
    if (found == entries_.end()) continue;
    Entry& entry = *found->second;
    forget_old(entry, options.window, now);
    Count& count = counts.of(counter);
    count.distinct = static_cast<uint32_t>(entry.guesses.size());
    // Rounded up: a block that is about to end is one still.
    if (entry.blocked_until > now) count.blocked_for = std::chrono::ceil<Duration>(entry.blocked_until - now);
  }
  return counts;
}

bool Tally::add(Entry& entry, uint64_t digest, uint32_t limit, const GuessingOptions& options, Instant now) {
  entry.over_at = now + options.window;
  const auto same = std::find_if(entry.guesses.begin(), entry.guesses.end(),
                                 [&](const Guess& guess) { return guess.digest == digest; });
  if (same != entry.guesses.end()) {
    same->when = now;
    return false;
  }
  if (limit != 0 && entry.guesses.size() + 1 >= limit) {
    entry.guesses = {};
    entry.blocked_until = entry.over_at = now + options.block_for;
    return true;
  }
  // Without a limit the oldest makes room: it is only about delays then, and those are the longest long since.
  if (entry.guesses.size() >= block_after_max) entry.guesses.erase(entry.guesses.begin());
  entry.guesses.push_back({digest, now});
  return true;
}

Tally::Place Tally::place_of(const Key& key, const GuessingOptions& options, Instant now) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) return found->second;
  while (entries_.size() >= options.entries_max)
    evict(now);
  Entry entry;
  entry.key = key;
  by_guilt_[0].push_back(std::move(entry));
  const Place place = std::prev(by_guilt_[0].end());
  entries_.emplace(key, place);
  return place;
}

void Tally::rank(Place place) {
  // 1 is 0, 2 and 3 are 1, ...
  const size_t doublings = place->guesses.empty() ? guilt_blocked : std::bit_width(place->guesses.size()) - 1;
  const size_t guilt = std::min(doublings, guilt_blocked);
  by_guilt_[guilt].splice(by_guilt_[guilt].end(), by_guilt_[place->guilt], place);
  place->guilt = guilt;
}

void Tally::evict(Instant now) {
  std::list<Entry>* least = nullptr;
  for (std::list<Entry>& entries : by_guilt_) {
    if (entries.empty()) continue;
    if (entries.front().over_at <= now) {
      least = &entries;
      break;
    }
    if (least == nullptr) least = &entries;
  }
  entries_.erase(least->front().key);
  least->pop_front();
}

}  // namespace postern::helper
