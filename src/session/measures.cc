// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/measures.h"

#include <algorithm>

namespace postern::session {
namespace {

void add_words(ByWord& sum, const ByWord& other) {
  for (const auto& [word, count] : other)
    sum[word] += count;
}

}  // namespace

void Histogram::note(Instant from, Instant to) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(std::max(to - from, Instant::duration::zero()));
  const auto bucket = std::find_if(bounds_ms.begin(), bounds_ms.end(),
                                   [&](uint32_t bound_ms) { return us <= std::chrono::milliseconds(bound_ms); });
  counts_[static_cast<size_t>(bucket - bounds_ms.begin())]++;
  sum_us_ += static_cast<uint64_t>(us.count());
}

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  sum_us_ += other.sum_us_;
}

void Measures::add(const Measures& other) {
  for (size_t dialect = 0; dialect < dialects; ++dialect) {
    OfDialect& sum = of_dialect[dialect];
    const OfDialect& more = other.of_dialect[dialect];
    sum.helper.add(more.helper);
    sum.back_connect.add(more.back_connect);
    sum.back_login.add(more.back_login);
    sum.login.add(more.login);
    for (size_t mechanism = 0; mechanism < mechanisms; ++mechanism) {
      sum.accepted[mechanism] += more.accepted[mechanism];
      for (size_t cause = 0; cause < causes; ++cause)
        sum.refused[mechanism][cause] += more.refused[mechanism][cause];
    }
  }
  handshake.add(other.handshake);
  add_words(tls_versions, other.tls_versions);
  add_words(handshake_failures, other.handshake_failures);
  add_words(back_failures, other.back_failures);
  add_words(ends, other.ends);
}

}  // namespace postern::session
