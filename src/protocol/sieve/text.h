// SPDX-License-Identifier: GPL-3.0-or-later
// ManageSieve's words (RFC 5804, section 4): strings, answers and capabilities, read and written.
//
// What is read here was framed by line::Reader, so a literal stands in the text with its announcement in front. Views
// point into that text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/line/string.h"

namespace postern::sieve {

// Octets between the quotes. What is longer is written as a literal; whoever reads may take more.
inline constexpr size_t quoted_size_max = 1024;

using line::String;

// Takes a string, quoted or literal, from the front of `text`. False: there is none, it is broken, or it holds NUL.
[[nodiscard]] bool take_string(std::string_view& text, String& string);
// The same of a text that is one string and no more; blanks may follow.
[[nodiscard]] bool is_string(std::string_view text, String& string);

// No argument at all. Blanks do not count: some mail programs put one behind the command.
bool is_nothing(std::string_view text);

enum class LiteralForm : uint8_t {
  OfServer,  // "{5}"
  OfClient,  // "{5+}": a mail program cannot wait, since nobody would tell it to go on
};
// Writes `text`, which must not hold NUL, CR or LF where it is short enough for quotes. `out` grows by at most
// 2 * text.size() + string_room.
void append_string(std::string& out, std::string_view text, LiteralForm form);
inline constexpr size_t string_room = 16;

enum class Status : uint8_t { None, Ok, No, Bye };

// response-oknobye = ("OK" / "NO" / "BYE") [SP "(" resp-code ")"] [SP string]
struct Response {
  Status status = Status::None;  // None: not of this form
  std::string_view code;         // the name alone: "TRYLATER"; empty: none
  String text;
};
// Lenient where mail servers are careless: a text may come without quotes.
Response parse_response(std::string_view line);

// Whether a response code's name may go out to a mail program.
bool is_passable_code(std::string_view code);

// single-capability = capability-name [SP string]
struct Capability {
  std::string name;
  std::optional<std::string> value;
};
// Nothing: not of this form, or something that fits on no line.
std::optional<Capability> parse_capability(std::string_view line);
// Without a line end. The form is a quoted string, whatever its size, so that a capability stays on one line.
std::string write_capability(const Capability& capability);
// Whether a capability of a mail server may be announced to a mail program before login: it is not about a login or a
// connection that is the gate's own affair.
bool is_front_capability(std::string_view name);

}  // namespace postern::sieve
