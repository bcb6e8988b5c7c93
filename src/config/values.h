// SPDX-License-Identifier: GPL-3.0-or-later
// One setting's value: from the document into its field, checked; and from its field back into text.
#pragma once

#include <string>

#include "config/draft.h"
#include "config/settings.h"

namespace postern::config {

// Reads `value` into the setting's field of the draft's Config. What is wrong goes to the draft's problems, and the
// field keeps its default (lists keep the items that are right).
void read_value(Draft& draft, const Setting& setting, const Value& value, Given& given);

// What `config` holds, as the file would have it: "5s" with its quotes, 100000, ["192.0.2.7:143"]. Empty strings and
// empty lists give an empty text.
std::string value_text(const Setting& setting, Config& config);
// An example's right-hand side: the table's, or the default.
std::string example_text(const Setting& setting);
// "from "100ms" to "5m"", "one of "none", "starttls" and "implicit"", or empty where the type says all.
std::string range_text(const Setting& setting);

}  // namespace postern::config
