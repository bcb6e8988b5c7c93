// SPDX-License-Identifier: GPL-3.0-or-later
// The files that a configuration names, and the configuration file itself.
#pragma once

#include <string>

#include "config/draft.h"

namespace postern::config {

struct FileText {
  std::string bytes;
  std::string fault;         // "cannot be read: No such file or directory. ...", with what to do; empty: it was read
  bool open_to_all = false;  // every user of the machine may read it
};

// Regular files of up to `size_max` bytes; a pipe or a device is a fault, not a wait.
FileText read_file(const std::string& path, size_t size_max);

// Certificates, keys and roots must be readable and PEM of the right sort. Whether a key belongs to its certificate is
// for TLS to find out when it loads them.
void check_files(Draft& draft);

}  // namespace postern::config
