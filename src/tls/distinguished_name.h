// SPDX-License-Identifier: GPL-3.0-or-later
// A certificate's subject as text (RFC 4514): the DER of a Name in, UTF-8 out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::tls {

struct DistinguishedName {
  std::string text;
  std::string common_name;  // the most specific one, unescaped; empty: none that is_shown_text()
};

// `rdns` is the content of the Name's SEQUENCE.
std::optional<DistinguishedName> read_name(std::string_view rdns);

// Whether this can be a person's name or address: not empty, well-formed UTF-8 and without control characters. A NUL in
// the middle has made programs believe in a shorter name.
bool is_shown_text(std::string_view text);

}  // namespace postern::tls
