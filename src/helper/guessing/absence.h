// SPDX-License-Identifier: GPL-3.0-or-later
// Absence: another server that may be away. It is not asked again at once, so that its absence costs nobody his time, and
// the log hears of it in few lines.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace postern::helper {

// From any thread.
class Absence {
 public:
  // False: it was away a moment ago.
  bool worth_asking(Instant now);
  // It did not answer: it is left alone for a moment. A number: say so, it has failed so often since that was last said.
  std::optional<uint64_t> away(Instant now);
  // It answered, but not what it should: the next question may fare better. A number: as above.
  std::optional<uint64_t> failed(Instant now);
  // It answered. A number: it was away, and was not asked, or in vain, so often.
  std::optional<uint64_t> there();

 private:
  std::optional<uint64_t> count(Instant now);

  std::mutex lock_;
  bool away_ = false;
  Instant ask_again_{};
  std::optional<Instant> said_at_;
  uint64_t unsaid_ = 0;   // failures since the log heard of one
  uint64_t without_ = 0;  // questions that had to do without it since it went away
};

}  // namespace postern::helper
