// SPDX-License-Identifier: GPL-3.0-or-later
// TimerWheel: one deadline for each of many connections, at the price of a store.
//
// Deadlines move with every event, but nearly always later. So the wheel keeps one entry a connection, at the earliest
// moment it was ever told, and asks again when that comes: an idle session costs one look every half hour.
// Ticks of 64 ms; one wheel of 256 ticks, one of 256 turns of it (70 minutes; what lies beyond is asked again then).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace postern::reactor {

class TimerWheel {
 public:
  struct Entry {
    uint32_t index = 0;
    uint32_t generation = 0;
  };

  static constexpr Duration tick = Duration(64);

  explicit TimerWheel(Instant now) : start_(now) {}

  // Puts an entry at `due`, rounded up to a tick, or to 16 of them where it is more than 8 s away; not before the next
  // tick.
  void add(Entry entry, Instant due);
  // Moves all entries up to `now` to the end of `expired`.
  void advance(Instant now, std::vector<Entry>& expired);
  // When advance() has something to do; instant_never if the wheel is empty.
  Instant next() const;

 private:
  static constexpr unsigned slot_count = 256;
  struct Ring {
    std::array<std::vector<Entry>, slot_count> slots;
    std::array<uint64_t, slot_count / 64> used{};

    void put(unsigned slot, Entry entry);
    // Distance from `from` to the first used slot, at most slot_count; slot_count: none.
    unsigned distance_to_used(unsigned from) const;
  };
  struct Coarse {
    Entry entry;
    uint64_t tick;
  };

  uint64_t tick_of(Instant instant) const;
  void put(Entry entry, uint64_t at);

  Instant start_;
  uint64_t now_ = 0;  // ticks since start_ that are done
  Ring fine_;
  std::array<std::vector<Coarse>, slot_count> coarse_;
  size_t coarse_count_ = 0;
};

}  // namespace postern::reactor
