// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/counts.h"

#include <algorithm>

namespace postern::helper {
namespace {

Duration delay_after(uint32_t distinct, const GuessingOptions& options) {
  if (distinct == 0) return Duration(0);
  // Beyond 2^20 any first delay is longer than the longest.
  const uint32_t doublings = std::min<uint32_t>(distinct - 1, 20);
  return std::min(options.delay_first * (int64_t{1} << doublings), options.delay_max);
}

}  // namespace

std::string_view counter_word(Counter counter) {
  switch (counter) {
    case Counter::Network: return "network";
    case Counter::User: return "user";
    case Counter::UserAtNetwork: return "user_at_network";
    case Counter::Policy: return "policy";
  }
  return "unknown";
}

uint32_t limit_of(Counter counter, const GuessingOptions& options) {
  switch (counter) {
    case Counter::Network: return options.block_after_net;
    case Counter::User: return options.block_after_user;
    case Counter::UserAtNetwork: return options.block_after;
    case Counter::Policy: return 0;
  }
  return 0;
}

Judgement judge(const Counts& counts, const GuessingOptions& options) {
  Go go;
  Blocked worst;
  for (const Counter counter : own_counters) {
    if (counts.known && counter != Counter::UserAtNetwork) continue;
    const Count& count = counts.of(counter);
    go.delay = std::max(go.delay, delay_after(count.distinct, options));
    if (count.blocked_for > worst.left) worst = {count.blocked_for, counter};
  }
  if (worst.left > Duration(0)) return worst;
  return go;
}

}  // namespace postern::helper
