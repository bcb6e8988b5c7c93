// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace postern::swarm {

// Below 2^part_bits each nanosecond has its own bucket; above, the highest bit names the row and the next part_bits the
// bucket in it.
unsigned Latencies::bucket_of(uint64_t ns) {
  const auto highest = static_cast<unsigned>(std::bit_width(ns | 1)) - 1;
  if (highest < part_bits) return static_cast<unsigned>(ns);
  const unsigned shift = highest - part_bits;
  return ((shift + 1) << part_bits) + static_cast<unsigned>((ns >> shift) - (uint64_t{1} << part_bits));
}

uint64_t Latencies::upper_bound_ns(unsigned bucket) {
  const unsigned row = bucket >> part_bits;
  if (row == 0) return bucket;
  const uint64_t part = bucket & ((1u << part_bits) - 1);
  return ((part + (uint64_t{1} << part_bits) + 1) << (row - 1)) - 1;
}

void Latencies::record(std::chrono::nanoseconds took) {
  const auto ns = static_cast<uint64_t>(std::clamp<int64_t>(took.count(), 0, (int64_t{1} << power_max) - 1));
  ++buckets_[bucket_of(ns)];
  ++count_;
  max_ns_ = std::max(max_ns_, ns);
}

double Latencies::quantile_ms(double share) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted && seen > 0) return static_cast<double>(std::min(upper_bound_ns(bucket), max_ns_)) / 1e6;
  }
  return 0;
}

}  // namespace postern::swarm
