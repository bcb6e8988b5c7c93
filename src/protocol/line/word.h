// SPDX-License-Identifier: GPL-3.0-or-later
// Words of a protocol line: ASCII, and the same in any case.
#pragma once

#include <string>
#include <string_view>

namespace postern::line {

// ASCII letters only; no locale.
bool same_word(std::string_view left, std::string_view right);

// The text up to the first space; `text` keeps what stands behind that space, or nothing.
std::string_view take_word(std::string_view& text);

// The text up to the first LF; `text` keeps what stands behind that.
std::string_view take_line(std::string_view& text);

// `text` for a reply or a log: no control characters, so no peer can end the line, and at most `size_max` bytes.
std::string one_line(std::string_view text, size_t size_max);

}  // namespace postern::line
