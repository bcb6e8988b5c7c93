// SPDX-License-Identifier: GPL-3.0-or-later
// From the text to the document, past mistakes: a line that is not TOML is explained, left out, and the rest is read
// on.
#pragma once

#include <string_view>

#include "config/draft.h"

namespace postern::config {

// Returns the root of what could be read. Where lines were left out, the draft has a problem for each and is no longer
// `whole`; where what follows a mistake cannot be trusted (a heading, a list over several lines), the root is empty.
Value read_syntax(std::string_view text, Draft& draft);

}  // namespace postern::config
