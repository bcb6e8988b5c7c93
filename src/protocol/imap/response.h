// SPDX-License-Identifier: GPL-3.0-or-later
// One line of a mail server, taken apart (RFC 9051, section 7), and what of it may be shown to others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::imap {

enum class ResponseKind : uint8_t { Garbage, Untagged, Continue, Tagged };

enum class Status : uint8_t { None, Ok, No, Bad, Bye, Preauth };

// Views into the line.
struct Response {
  ResponseKind kind = ResponseKind::Garbage;
  std::string_view tag;             // Tagged
  Status status = Status::None;     // always set when Tagged
  std::string_view word;            // Untagged without status: "CAPABILITY", "12", ...
  std::string_view code;            // "CAPABILITY" of "[CAPABILITY IMAP4rev1]"; empty: none
  std::string_view code_arguments;  // "IMAP4rev1"
  std::string_view text;            // with a status: what follows the code; without: what follows the word
};

// `line` comes without its line end. Lenient where mail servers are careless: text may be missing, a lone "+" counts.
Response parse_response(std::string_view line);

// Whether `capabilities` ("IMAP4rev1 IDLE ...") has `word`, in any case.
bool has_capability(std::string_view capabilities, std::string_view word);

// A response code without brackets may go out to a mail program: an atom, then printable ASCII without "]".
bool is_passable_code(std::string_view code);

// A mail server's capabilities after login as a mail program may see them: printable, no "]", without STARTTLS and
// LOGINDISABLED, which speak of a connection that is not the mail program's. Empty when there is nothing fit to send.
std::string passable_capabilities(std::string_view capabilities);

// Whether a word that a mail server says before login may be announced to a mail program: printable, and not about a
// login or a connection that is the gate's own affair.
bool is_front_capability(std::string_view word);

}  // namespace postern::imap
