// SPDX-License-Identifier: GPL-3.0-or-later
// Log lines of postern-auth: one line each to stderr, where journald or whoever started it takes them.
#pragma once

#include "base/log_line.h"

namespace postern::helper {

// "warning failed source=... text=...". From any thread; lines do not mix.
void write_log(const LogLine& line);

}  // namespace postern::helper
