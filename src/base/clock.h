// SPDX-License-Identifier: GPL-3.0-or-later
// Time as the pure core sees it: a value that comes in as an argument. Only the shell asks a clock.
#pragma once

#include <chrono>

namespace postern {

// A point of the monotonic clock. Tests and the simulator make their own.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

// "Never": no deadline is set.
inline constexpr Instant instant_never = Instant::max();

}  // namespace postern
