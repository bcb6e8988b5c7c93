// SPDX-License-Identifier: GPL-3.0-or-later
// MemoryWatch: whether the process holds more main memory than limits.memory allows.
#pragma once

#include <cstdint>
#include <optional>

#include "base/log_line.h"

namespace postern::daemon {

class MemoryWatch {
 public:
  // Main memory that this process holds now, in bytes, as the kernel counts it (resident, shared pages included). Nothing:
  // /proc is not there. Blocks for microseconds.
  static std::optional<uint64_t> resident();
  // Bytes of limits.memory; 0: no limit.
  void set_limit(uint64_t limit) { limit_ = limit; }
  uint64_t limit() const { return limit_; }
  // Takes note of `resident`. A line to log when this changes something.
  std::optional<LogLine> note(uint64_t resident);
  // Above the limit. It holds until a 32nd of the limit is free again, so that it does not come and go each second.
  bool full() const { return full_; }

 private:
  uint64_t limit_ = 0;
  bool full_ = false;
};

}  // namespace postern::daemon
