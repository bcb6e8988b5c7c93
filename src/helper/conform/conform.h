// SPDX-License-Identifier: GPL-3.0-or-later
// `postern-auth conform`: whether a helper, whoever wrote it, keeps to postern-helper(7).
#pragma once

#include "helper/commands.h"

namespace postern::helper {

// Plays all checks at the socket that the arguments name and prints a line for each. 0: all went well, 1: some did not.
ExitStatus run_conform(const Arguments& arguments);

}  // namespace postern::helper
