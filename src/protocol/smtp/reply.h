// SPDX-License-Identifier: GPL-3.0-or-later
// A mail server's reply, line by line (RFC 5321, section 4.2), and what of it may be shown to others.
#pragma once

#include <optional>
#include <string_view>

namespace postern::smtp {

// Views into the line.
struct ReplyLine {
  unsigned code = 0;      // 200 to 599
  bool last = true;       // of its reply
  std::string_view text;  // behind the code and its separator
};

// `line` comes without its line end. Nothing: no line of a reply.
std::optional<ReplyLine> parse_reply_line(std::string_view line);

// "5.7.8" in front of a text (RFC 3463, section 2); `text` keeps what stands behind it. Empty: there is none.
std::string_view take_enhanced_code(std::string_view& text);

// Whether "550 5.7.1" may go out as the answer to a login: a refusal, both codes of one class, and not 421, behind which
// we would have to close.
bool is_passable_code(std::string_view code);

// The keyword of a line of EHLO's reply: "SIZE" of "SIZE 1000000", "AUTH" of "AUTH=LOGIN", an old form.
std::string_view capability_keyword(std::string_view line);

// Whether a line of a mail server's EHLO reply may be announced before login: printable, and not the gate's own affair.
bool is_front_capability(std::string_view line);
// The same after login, when the mail server itself speaks: all but STARTTLS and AUTH, which are behind us, and what
// begins with X. Those are agreements between two sides who know each other (RFC 5321, section 4.1.5: XCLIENT, XFORWARD,
// Exchange's X-EXPS and X-ANONYMOUSTLS), and RelayFilter refuses their commands.
bool is_relay_capability(std::string_view line);

}  // namespace postern::smtp
