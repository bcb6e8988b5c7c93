// SPDX-License-Identifier: GPL-3.0-or-later
// What the log is told by the configuration.
#pragma once

#include <cstdint>

#include "base/log_line.h"

namespace postern::control {

enum class LogTarget : uint8_t { Stderr, Syslog, Journal };
enum class LogFormat : uint8_t { Text, Json };

// The [log] section.
struct LogOptions {
  LogTarget target = LogTarget::Stderr;
  LogFormat format = LogFormat::Text;
  Severity level = Severity::Info;  // this and all that is graver is written
  uint32_t repeats_max = 30;        // equal lines in ten seconds (control/flood.h); 0: all are written
};

}  // namespace postern::control
