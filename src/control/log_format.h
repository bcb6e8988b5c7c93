// SPDX-License-Identifier: GPL-3.0-or-later
// Log lines as the targets want them. postern-log(7) tells the administrator what is written here.
#pragma once

#include <time.h>

#include <string>

#include "base/log_line.h"

namespace postern::control {

// As in syslog(3).
int priority(Severity severity);
// "2026-01-31T12:00:00.123Z" (RFC 3339).
std::string timestamp(const timespec& when);

// "2026-01-31T12:00:00.123Z info login session=... user=...", with its line end.
std::string text_line(const LogLine& line, const timespec& when);
// "<6>login session=...": systemd reads the priority and has its own clock (sd-daemon(3)).
std::string systemd_line(const LogLine& line);
// One object: time, severity, event, then the fields. Numbers are numbers, all else is text. A value that is not UTF-8 is
// there twice: under its key with U+FFFD in place of each wrong byte, and under "KEY_escaped" with \xHH for each byte
// above 0x7e and \\ for a backslash, from which every byte can be read back. No line end.
std::string json_object(const LogLine& line, const timespec& when);

}  // namespace postern::control
