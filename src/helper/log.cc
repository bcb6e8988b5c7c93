// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/log.h"

#include <unistd.h>

#include <string>

namespace postern::helper {

void write_log(const LogLine& line) {
  const std::string text = std::string(severity_word(line.severity())) + " " + line.text() + "\n";
  // One write for one line. If nobody reads the log, logins go on without it.
  static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
}

}  // namespace postern::helper
