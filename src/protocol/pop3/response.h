// SPDX-License-Identifier: GPL-3.0-or-later
// One line of a POP3 mail server, taken apart (RFC 1939, section 3; 2449, section 8), and what of its words may be said
// to a mail program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::pop3 {

// Of a line of an answer, and of a command, both with CRLF (RFC 2449, section 4).
inline constexpr size_t response_octets_max = 512;
inline constexpr size_t command_octets_max = 255;

enum class ResponseKind : uint8_t { Garbage, Ok, Err, Continue };

// Views into the line.
struct Response {
  ResponseKind kind = ResponseKind::Garbage;
  std::string_view code;  // "SYS/TEMP" of "-ERR [SYS/TEMP] later"; empty: none
  std::string_view text;  // what follows the code; with Continue: the challenge
};

// `line` comes without its line end. Lenient where mail servers are careless: any case, and text may be missing.
Response parse_response(std::string_view line);

// Whether it has the form of a response code without brackets: printable, no blank, no "]".
bool is_passable_code(std::string_view code);

// Here, `capabilities` is one a line.
// Whether one of them is `name`, in any case, whatever stands behind it.
bool has_capability(std::string_view capabilities, std::string_view name);
// Whether there is a SASL line with this mechanism.
bool has_mechanism(std::string_view capabilities, std::string_view mechanism);

// Whether a line of a mail server's list from before the login may be announced to a mail program: printable, fit for a
// line, and not about a login or a connection that is the gate's own affair.
bool is_front_capability(std::string_view line);

}  // namespace postern::pop3
