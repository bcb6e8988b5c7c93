// SPDX-License-Identifier: GPL-3.0-or-later
// Top: the gate's figures, drawn anew every second, until somebody types q.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "ctl/link.h"
#include "ctl/show.h"

namespace postern::ctl {

// One screen of the live view, `rows` lines of `columns` characters at most, lines ended by "\r\n". `before` is the status
// of `seconds` ago, or null at first; `backends` are the documents of that command's answer.
std::string screen(const Json& status, const Json& before, double seconds, const std::vector<Json>& backends,
                   size_t columns, size_t rows);

// Returns when the administrator quits, and restores the terminal however it ends.
absl::Status show_top(Link& link);

}  // namespace postern::ctl
