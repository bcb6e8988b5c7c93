// SPDX-License-Identifier: GPL-3.0-or-later
// Latencies: how long things took, in few bytes however many there were; quantiles are right to 1.6 %.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace postern::swarm {

class Latencies {
 public:
  void record(std::chrono::nanoseconds took);
  uint64_t count() const { return count_; }
  // The time that `share` (0 .. 1) of all stayed below or met, in milliseconds; 0 when there were none.
  double quantile_ms(double share) const;
  double max_ms() const { return static_cast<double>(max_ns_) / 1e6; }

 private:
  // Each power of two is cut into 64 equal parts. 2^40 ns is 18 minutes: longer than a run may last in one answer.
  static constexpr unsigned part_bits = 6;
  static constexpr unsigned power_max = 40;

  static unsigned bucket_of(uint64_t ns);
  static uint64_t upper_bound_ns(unsigned bucket);

  std::array<uint64_t, (power_max - part_bits + 1) << part_bits> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ns_ = 0;
};

}  // namespace postern::swarm
