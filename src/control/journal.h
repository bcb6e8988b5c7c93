// SPDX-License-Identifier: GPL-3.0-or-later
// The journal, spoken to in its own protocol (sd_journal_sendv(3)): every field of a line is one of the journal's.
#pragma once

#include "base/log_line.h"

namespace postern::control {

// MESSAGE is the line as text, POSTERN_EVENT its event, and each field POSTERN_ and its key in capitals, with the value's
// own bytes. May wait for the journal. A journal that is not there swallows the line; in a build without libsystemd there
// is none, and --check says so.
void send_to_journal(const LogLine& line);

}  // namespace postern::control
