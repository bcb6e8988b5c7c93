// SPDX-License-Identifier: GPL-3.0-or-later
// The clock of the benches that time only one side of a conversation.
#pragma once

#include <ctime>

namespace postern::bench {

// CPU time of this thread: what other processes do meanwhile is not ours.
inline double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace postern::bench
