// SPDX-License-Identifier: GPL-3.0-or-later
// Whether the limits make sense together. A limit that can never be reached is a warning: whoever wrote it meant more.
#pragma once

#include "config/draft.h"

namespace postern::config {

void check_limits(Draft& draft);

}  // namespace postern::config
