// SPDX-License-Identifier: GPL-3.0-or-later
// What one process can hold, for the gate that runs and for the plan of one that shall run.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>

namespace postern::daemon {

// What the process needs beside its sessions: listeners, the helper's sockets, logs, configuration files.
inline constexpr uint32_t spare_descriptors = 64;
// The largest table of direct descriptors that a ring may have; a session takes two places.
inline constexpr uint64_t table_max = 1u << 20;
// Connections that wait to be accepted. The kernel caps it at net.core.somaxconn; a morning's wave of mail programs must
// fit.
inline constexpr int backlog = 4096;

// Cores that this process may use, at least one.
inline uint32_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return static_cast<uint32_t>(std::max(1, CPU_COUNT(&cores)));
}

}  // namespace postern::daemon
