// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace postern::reactor {
namespace {

constexpr uint64_t patient_ticks = 128;  // 8 s
constexpr uint64_t shared_ticks = 16;    // 1 s

}  // namespace

void TimerWheel::Ring::put(unsigned slot, Entry entry) {
  slots[slot].push_back(entry);
  used[slot / 64] |= uint64_t{1} << slot % 64;
}

unsigned TimerWheel::Ring::distance_to_used(unsigned from) const {
  for (unsigned distance = 0; distance < slot_count;) {
    const unsigned slot = (from + distance) % slot_count;
    const uint64_t rest = used[slot / 64] >> slot % 64;
    if (rest != 0) return std::min<unsigned>(distance + static_cast<unsigned>(std::countr_zero(rest)), slot_count);
    distance += 64 - slot % 64;
  }
  return slot_count;
}

uint64_t TimerWheel::tick_of(Instant instant) const {
  if (instant <= start_) return 0;
  return static_cast<uint64_t>((instant - start_ + tick - Instant::duration(1)) / tick);
}

void TimerWheel::put(Entry entry, uint64_t at) {
  if (at - now_ < slot_count) return fine_.put(static_cast<unsigned>(at % slot_count), entry);
  // Beyond the coarse wheel's turn the entry is asked too early, which is harmless.
  at = std::min(at, now_ + uint64_t{slot_count} * (slot_count - 1));
  coarse_[at / slot_count % slot_count].push_back({entry, at});
  coarse_count_++;
}

void TimerWheel::add(Entry entry, Instant due) {
  if (due == instant_never) return;
  uint64_t at = std::max(tick_of(due), now_ + 1);
  // Nobody minds a second at the end of half an hour, and thousands of sessions then share one wake-up.
  if (at - now_ > patient_ticks) at = (at + shared_ticks - 1) / shared_ticks * shared_ticks;
  put(entry, at);
}

void TimerWheel::advance(Instant now, std::vector<Entry>& expired) {
  if (now < start_) return;
  const auto target = static_cast<uint64_t>((now - start_) / tick);
  while (now_ < target) {
    // Skip to the next tick that has anything: a used slot of the fine wheel, or the coarse wheel's next turn.
    const uint64_t turn = (now_ / slot_count + 1) * slot_count;
    const uint64_t used = now_ + 1 + fine_.distance_to_used(static_cast<unsigned>((now_ + 1) % slot_count));
    now_ = std::min({target, turn, used});
    if (now_ % slot_count == 0 && coarse_count_ != 0) {
      std::vector<Coarse> due = std::exchange(coarse_[now_ / slot_count % slot_count], {});
      coarse_count_ -= due.size();
      for (const Coarse& coarse : due)
        put(coarse.entry, std::max(coarse.tick, now_));
    }
    const auto slot = static_cast<unsigned>(now_ % slot_count);
    std::vector<Entry> entries = std::exchange(fine_.slots[slot], {});
    fine_.used[slot / 64] &= ~(uint64_t{1} << slot % 64);
    expired.insert(expired.end(), entries.begin(), entries.end());
  }
}

Instant TimerWheel::next() const {
  const unsigned distance = fine_.distance_to_used(static_cast<unsigned>((now_ + 1) % slot_count));
  uint64_t at = UINT64_MAX;
  if (distance < slot_count) at = now_ + 1 + distance;
  if (coarse_count_ != 0) {
    for (uint64_t turn = now_ / slot_count + 1;; ++turn) {
      if (coarse_[turn % slot_count].empty()) continue;
      at = std::min(at, turn * slot_count);
      break;
    }
  }
  return at == UINT64_MAX ? instant_never : start_ + tick * static_cast<int64_t>(at);
}

}  // namespace postern::reactor
