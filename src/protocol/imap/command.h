// SPDX-License-Identifier: GPL-3.0-or-later
// What a mail program may write behind a command's name before it is logged in (RFC 9051, section 9).
//
// All functions here read text that line::Reader has framed: whole, or up to the announcement of a literal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/line/string.h"

namespace postern::imap {

// The longest tag that we echo. Mail programs use less than ten bytes.
inline constexpr size_t tag_size_max = 256;

// 1*<any ASTRING-CHAR except "+">, strictly: a tag is the only thing of a bad command that goes back.
bool is_tag(std::string_view tag);

using line::Parsed;
using Argument = line::String;

struct LoginArguments {
  Argument user, password;
};

// astring SP astring. Atoms are taken with more characters in them than the grammar has: passwords are full of them,
// and many mail programs do not quote. An atom ends at a space and holds neither quotes, an open brace nor controls.
[[nodiscard]] Parsed parse_login(std::string_view arguments, LoginArguments& login);

struct IdPair {
  Argument name, value;  // NIL is an empty value
};

// RFC 2971, section 3.1 and 3.3: NIL, or a list of at most 30 pairs; names up to 30 octets, values up to 1024, or NIL.
[[nodiscard]] Parsed parse_id(std::string_view arguments, std::vector<IdPair>& pairs);

// No argument at all. Blanks do not count: some mail programs put one behind the command.
[[nodiscard]] Parsed parse_nothing(std::string_view arguments);

}  // namespace postern::imap
