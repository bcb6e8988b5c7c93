// SPDX-License-Identifier: GPL-3.0-or-later
// What a reactor's limits and time-outs have done since its start, as a log line.
#pragma once

#include <cstdint>

#include "base/log_line.h"
#include "session/admission.h"
#include "session/surroundings.h"

namespace postern::reactor {

// `admission` is the process's; its part of the line is the same from every reactor.
LogLine limits_line(uint32_t reactor, const session::Counters& counters, const session::Admission& admission);

}  // namespace postern::reactor
