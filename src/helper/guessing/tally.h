// SPDX-License-Identifier: GPL-3.0-or-later
// Tally: the counters of one process, in bounded memory.
//
// A full tally forgets whoever is over (nothing within the window, no block) and else the least guilty, the oldest of
// them first. Guilt grows with every doubling of distinct wrong passwords, and a block is the highest. So a stranger who
// floods it with new names and addresses pushes out those that have tried as little as his own flood; for one block to be
// forgotten, everything in the tally must be blocked, and then it is the one that ends soonest.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "helper/guessing/counts.h"
#include "helper/guessing/known_networks.h"
#include "helper/guessing/options.h"
#include "helper/guessing/subject.h"

namespace postern::helper {

// From any thread.
class Tally {
 public:
  Counts look(const Subject& subject, const GuessingOptions& options, Instant now);
  // A wrong password; the counts after it. While a counter blocks it does not count: a block is not prolonged.
  Counts count(const Subject& subject, uint64_t digest, const GuessingOptions& options, Instant now);
  // The right one: the network is the user's, and his mistakes there are forgotten. Those of others there are not.
  void succeed(const Subject& subject, const GuessingOptions& options, Instant now);

  // Counters that are held; at most `entries_max`.
  size_t size() const;

 private:
  struct Key {
    UserId user{};
    Subnet network;
    Counter counter = Counter::Network;

    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H state, const Key& key) {
      return H::combine(std::move(state), key.user, key.network.bytes, key.network.v6, key.counter);
    }
  };
  struct Guess {
    uint64_t digest = 0;
    Instant when;
  };
  struct Entry {
    Key key;
    std::vector<Guess> guesses;  // distinct, fewer than the counter's limit
    Instant blocked_until{};
    Instant over_at{};  // when nothing of it counts any more
    size_t guilt = 0;
  };
  using Place = std::list<Entry>::iterator;

  static bool applies(Counter counter, const Subject& subject);
  static Key key_of(Counter counter, const Subject& subject);
  static void forget_old(Entry& entry, Duration window, Instant now);
  Counts read(const Subject& subject, const GuessingOptions& options, Instant now);
  // True: the digest is new there.
  bool add(Entry& entry, uint64_t digest, uint32_t limit, const GuessingOptions& options, Instant now);
  Place place_of(const Key& key, const GuessingOptions& options, Instant now);
  void rank(Place place);
  void evict(Instant now);

  // 1, 2-3, 4-7, ... 128-255 wrong passwords, and blocked.
  static constexpr size_t guilt_blocked = 8;

  mutable std::mutex lock_;
  std::array<std::list<Entry>, guilt_blocked + 1> by_guilt_;  // in each the one that was touched last stands last
  absl::flat_hash_map<Key, Place> entries_;
  KnownNetworks known_;
};

}  // namespace postern::helper
