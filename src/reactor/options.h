// SPDX-License-Identifier: GPL-3.0-or-later
// What the shell is told by the configuration.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace postern::reactor {

// Which of the kernel's newer abilities to use. `Floor` does without all that Linux 6.1 lacks, for comparison and
// trouble.
enum class KernelFeatures : uint8_t { Auto, Floor };

struct Options {
  uint32_t reactors = 0;  // 0: one for each core that this process may use
  KernelFeatures kernel_features = KernelFeatures::Auto;
  Duration drain_timeout = std::chrono::seconds(10);  // SIGTERM: relays may go on this long
  Duration upgrade_timeout = std::chrono::hours(1);   // SIGUSR2: the same, in the process that is replaced
};

}  // namespace postern::reactor
