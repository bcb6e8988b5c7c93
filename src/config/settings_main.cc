// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the manual page postern.toml(5) to standard output; the build runs it.
#include <cstdio>

#include "config/config.h"

int main() {
  const std::string page = postern::config::settings_man();
  const bool written = std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0;
  return written ? 0 : 1;
}
