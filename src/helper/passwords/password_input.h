// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords from a person or a pipe; never from an argument list, which everybody on the machine can read.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/secret.h"

namespace postern::helper {

// The next line of standard input, without its LF. Leaves what follows for the next call.
absl::StatusOr<Secret> read_password_line();

// Asks on the terminal, twice, without showing what is typed. `prompt`: "Password of joe". Fails where there is no
// terminal, where the two differ, and when the person gives up with Control-C.
absl::StatusOr<Secret> ask_password(const std::string& prompt);

}  // namespace postern::helper
