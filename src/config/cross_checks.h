// SPDX-License-Identifier: GPL-3.0-or-later
// What no single setting can show: names that must match, settings that need or forbid one another.
#pragma once

#include "config/draft.h"

namespace postern::config {

// Fills in the names of listeners that have none and the pool that the file may leave out (see Config), and adds what
// does not fit together to the draft's problems, what deserves a second look to its warnings. Touches no file.
void cross_check(Draft& draft);

}  // namespace postern::config
