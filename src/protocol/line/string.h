// SPDX-License-Identifier: GPL-3.0-or-later
// Strings as IMAP and ManageSieve write them: quoted, with \" and \\ as the only escapes, or a literal (RFC 9051, section
// 9; RFC 5804, section 4).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace postern::line {

// A string as it stands there, valid as long as the text that it was taken from.
struct String {
  std::string_view raw;
  bool escaped = false;  // raw came out of quotes and holds backslashes

  bool empty() const { return raw.empty(); }
  std::string text() const;
  Secret secret() const;
};

enum class Parsed : uint8_t {
  Yes,
  No,
  WantsLiteral,  // good so far, and the text ends where a literal was announced
};

// Each takes its kind of string from the front of `text`, which begins with a quote or with a brace; after a No, `text`
// may be anywhere. Octets above 127 are taken: RFC 9051 and 5804 have them, and older mail programs send them.
[[nodiscard]] Parsed take_quoted(std::string_view& text, String& string);
// The octets are taken as they are, but for NUL, which no string may hold.
[[nodiscard]] Parsed take_literal(std::string_view& text, String& string);

// `text` in quotes. It grows to twice its size and two at most, so whoever reserves that leaves no copy behind.
void append_quoted(std::string& out, std::string_view text);

}  // namespace postern::line
