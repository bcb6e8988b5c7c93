// SPDX-License-Identifier: GPL-3.0-or-later
// Measures: what is counted for metrics beyond the plain counters. One a reactor, touched by its thread only; the control
// side adds them up. What it is counted by is bounded: words of our own, never a name or an address of others.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "protocol/login.h"
#include "protocol/mechanism.h"
#include "session/dialect.h"

namespace postern::session {

// How long something took. The bounds suit what happens within a machine room as well as a helper that waits.
class Histogram {
 public:
  // Upper bounds in milliseconds; what is longer is in a last bucket of its own.
  static constexpr std::array<uint32_t, 14> bounds_ms = {1,   2,   5,    10,   20,   50,    100,
                                                         200, 500, 1000, 2000, 5000, 10000, 30000};

  void note(Instant from, Instant to);
  void add(const Histogram& other);
  // In the bucket of that bound alone, not cumulative; index bounds_ms.size() is what is longer than all.
  uint64_t in_bucket(size_t index) const { return counts_[index]; }
  uint64_t sum_us() const { return sum_us_; }

 private:
  std::array<uint64_t, bounds_ms.size() + 1> counts_{};
  uint64_t sum_us_ = 0;
};

// By one of our own words, which lives for ever.
using ByWord = absl::flat_hash_map<std::string_view, uint64_t>;

struct Measures {
  static constexpr size_t dialects = std::size(spoken_dialects);
  static constexpr size_t mechanisms = 8;
  static constexpr size_t causes = protocol::refusal_cause_count;

  // Of the logins of a dialect.
  struct OfDialect {
    Histogram helper;        // from the question to its answer; what the cache knew is not among them
    Histogram back_connect;  // from the choice of a mail server to its connection
    Histogram back_login;    // from there to its word that the user is in
    Histogram login;         // of those accepted: from the credentials to the relay
    std::array<uint64_t, mechanisms> accepted{};
    std::array<std::array<uint64_t, causes>, mechanisms> refused{};
  };

  OfDialect& of(Dialect dialect) { return of_dialect[static_cast<size_t>(dialect) % dialects]; }
  void add(const Measures& other);

  std::array<OfDialect, dialects> of_dialect{};
  Histogram handshake;        // of those finished, at the front
  ByWord tls_versions;        // of the same
  ByWord handshake_failures;  // by reason
  ByWord back_failures;       // by reason
  ByWord ends;                // of sessions, by reason
};

}  // namespace postern::session
