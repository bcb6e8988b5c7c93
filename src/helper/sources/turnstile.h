// SPDX-License-Identifier: GPL-3.0-or-later
// Turnstile: how many questions a source has at one time, how many wait for it, and what it did with them. A source that
// hangs keeps a bounded number of workers, so it does not stop the others; one that is merely busy turns nobody away.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "base/clock.h"

namespace postern::helper {

struct TurnstileOptions {
  uint32_t connections = 8;                    // questions that the source has at one time; further ones wait
  Duration timeout = std::chrono::seconds(3);  // for one question: within the gate's own patience
  Duration retry_after =
      std::chrono::seconds(2);  // after a time-out, one question looks whether it is back; others fail at once
};

class Turnstile {
 public:
  enum class Result : uint8_t { Found, Unknown, Refused, Failed };
  static constexpr size_t results = 4;
  // Upper bounds of the histogram's buckets; the last one has none.
  static constexpr std::array<Duration, 11> bounds{Duration(1),   Duration(2),    Duration(5),   Duration(10),
                                                   Duration(20),  Duration(50),   Duration(100), Duration(200),
                                                   Duration(500), Duration(1000), Duration(2000)};

  struct Figures {
    std::array<uint64_t, results> by_result{};
    std::array<uint64_t, bounds.size() + 1> by_time{};
    uint64_t turned_away = 0;  // too many waited, or the source was held to be away
  };

  void set_options(const TurnstileOptions& options) { options_ = options; }

  // Why a question cannot go to the source now; "": it may, and done() must follow.
  const char* enter();
  void done(Result result, Duration taken);

  Figures figures() const;

 private:
  TurnstileOptions options_;
  mutable std::mutex lock_;
  std::condition_variable freed_;
  uint32_t inside_ = 0;
  uint32_t waiting_ = 0;
  bool away_ = false;
  Instant look_again_{};
  Instant last_answer_{};
  Figures figures_;
};

}  // namespace postern::helper
