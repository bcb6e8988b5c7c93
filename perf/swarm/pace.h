// SPDX-License-Identifier: GPL-3.0-or-later
// Pace: when the next of `count` things is due, at `rate` a second or, with rate 0, at once.
//
// With a rate, latency counts from the moment a thing was due and not from when it could be begun: a gate that stops
// for a second must not look quick because nobody asked it anything meanwhile.
#pragma once

#include <chrono>
#include <cstdint>

#include "perf/wire/machine.h"

namespace postern::swarm {

class Pace {
 public:
  Pace(uint64_t count, double rate, wire::Instant start) : count_(count), rate_(rate), start_(start) {}

  uint64_t begun() const { return begun_; }
  bool is_all_begun() const { return begun_ >= count_; }
  // When the next one is due; never later than asked for, and the distant future when all are begun.
  wire::Instant next_due(wire::Instant now) const {
    if (is_all_begun()) return wire::Instant::max();
    if (rate_ <= 0) return now;
    return start_ + std::chrono::nanoseconds(static_cast<int64_t>(1e9 * static_cast<double>(begun_) / rate_));
  }
  void begin() { ++begun_; }

 private:
  uint64_t count_;
  double rate_;
  wire::Instant start_;
  uint64_t begun_ = 0;
};

}  // namespace postern::swarm
