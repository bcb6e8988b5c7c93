// SPDX-License-Identifier: GPL-3.0-or-later
// Show: the gate's answers as people read them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace postern::ctl {

using Json = nlohmann::ordered_json;

// Text that came from a mail program, for a terminal: control characters and what is no ASCII become \xHH.
std::string printable(std::string_view text);
// "3d 4h", "2h 5m", "17s".
std::string age_text(uint64_t seconds);
// "812 B", "1.4 MB".
std::string size_text(uint64_t bytes);

// A document of an answer to `command`, with its newline; may be empty. `first`: none has been shown yet.
std::string show(std::string_view command, const Json& document, bool first);

}  // namespace postern::ctl
