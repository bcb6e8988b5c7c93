// SPDX-License-Identifier: GPL-3.0-or-later
// Words of a protocol line: ASCII, and the same in any case.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace postern::line {

// ASCII letters only; no locale.
bool same_word(std::string_view left, std::string_view right);

// The text up to the first space; `text` keeps what stands behind that space, or nothing.
std::string_view take_word(std::string_view& text);

// The text up to the first LF; `text` keeps what stands behind that.
std::string_view take_line(std::string_view& text);

// A whole number, decimal digits and nothing else; nothing: it is none, or too large for `Number`.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// The row of a dialect's table with that name, in any case; nullptr: there is none.
template <typename Verb, size_t count>
const Verb* find_verb(const Verb (&verbs)[count], std::string_view name) {
  const Verb* const found =
      std::find_if(verbs, verbs + count, [name](const Verb& verb) { return same_word(verb.name, name); });
  return found == verbs + count ? nullptr : found;
}

// `text` for a reply or a log: no control characters, so no peer can end the line, and at most `size_max` bytes.
std::string one_line(std::string_view text, size_t size_max);

}  // namespace postern::line
