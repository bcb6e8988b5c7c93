// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/memory_watch.h"

#include <stdio.h>
#include <unistd.h>

namespace postern::daemon {

std::optional<uint64_t> MemoryWatch::resident() {
  FILE* const file = ::fopen("/proc/self/statm", "re");
  if (file == nullptr) return std::nullopt;
  unsigned long size = 0, resident = 0;  // in pages (proc(5))
  const int read = ::fscanf(file, "%lu %lu", &size, &resident);
  ::fclose(file);
  if (read != 2) return std::nullopt;
  return uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<LogLine> MemoryWatch::note(uint64_t resident) {
  const bool was_full = full_;
  const uint64_t enough = full_ ? limit_ - limit_ / 32 : limit_;
  full_ = limit_ != 0 && resident > enough;
  if (full_ == was_full) return std::nullopt;
  LogLine line(full_ ? Severity::Warning : Severity::Notice, "memory");
  line.add("state", full_ ? "full" : "enough").add("bytes", resident).add("limit", limit_);
  if (full_) line.say("nobody new is let in until there is less; sessions that are here go on");
  return line;
}

}  // namespace postern::daemon
