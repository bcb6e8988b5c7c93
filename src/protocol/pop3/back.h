// SPDX-License-Identifier: GPL-3.0-or-later
// The login at a POP3 mail server (RFC 1939; 2449 CAPA and response codes; 2595 STLS; 3206 AUTH and SYS; 5034 AUTH;
// 6856 UTF8). protocol/back.h is the frame.
//
// Which way in:
//   a master user                      AUTH PLAIN with an authorisation identity; nothing else can say it
//   the route's mechanism              AUTH with it, or USER and PASS for LOGIN
//   what does not fit on a USER or     AUTH PLAIN; a mail server that has no PLAIN cannot have that user either, so he
//     PASS line                          is refused like one with a wrong password
//   all else                           USER and PASS
// AUTH never has an initial response: it costs a round trip, but every mail server understands it, of any length, and
// who says no before anything was sent has not said no to the user. So nobody needs to ask what the mail server can do,
// with one exception: a no to USER may mean the user or may mean USER, and then CAPA tells.
//
// XCLIENT goes out together with the first command of the login, to whom shows in the greeting that it takes it from us
// (Dovecot). It is a courtesy: whatever the mail server answers, the login goes on, since a mail program that cannot
// read its mail is worse than a log with the gate's address in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/back.h"
#include "protocol/pop3/response.h"

namespace postern::pop3 {

class Back final : public protocol::Back {
 public:
  using protocol::Back::Back;

 private:
  // Whose answer comes next. XCLIENT's comes in front of it, while xclient_pending_.
  enum class State : uint8_t {
    Greeting,  // the mail server speaks first
    Stls,
    Capa,      // the first line
    CapaList,  // the lines behind it
    Utf8,
    User,
    Pass,
    Auth,      // a "+" is due
    Response,  // to the mechanism's message, or to what we say to a token's refusal
  };

  Event on_line(std::string_view line) override;
  protocol::BackEvent secured() override { return begin(); }
  std::string_view awaited() const override;

  Event on_answer(const Response& response);
  protocol::BackEvent on_greeting(const Response& response);
  protocol::BackEvent on_stls(const Response& response);
  Event on_capa(const Response& response);
  Event on_capa_line(std::string_view line);
  protocol::BackEvent on_capabilities();
  protocol::BackEvent on_utf8(const Response& response);
  protocol::BackEvent on_user(const Response& response);
  protocol::BackEvent on_pass(const Response& response);
  protocol::BackEvent on_auth(const Response& response);
  protocol::BackEvent on_response(const Response& response);

  protocol::BackEvent begin();
  // `before` goes out in front of the first command.
  protocol::BackEvent log_in(std::string before);
  protocol::BackEvent authenticate(protocol::Mechanism mechanism, std::string before);
  protocol::BackEvent ask_capabilities();
  protocol::BackEvent garbage();
  protocol::BackEvent welcomed(const Response& response);
  protocol::BackEvent turned_down(const Response& response);
  protocol::BackEvent wrong_password();

  protocol::BackEvent send_secret(std::string_view before, std::string_view secret) const;
  // Whether USER and PASS can carry the login.
  bool fits_on_lines() const;
  std::string xclient_command();

  State state_ = State::Greeting;
  bool xclient_offered_ = false;
  bool xclient_pending_ = false;
  bool token_refused_ = false;                                  // and we have said our part
  protocol::Mechanism mechanism_ = protocol::Mechanism::Login;  // of the AUTH that was sent
  std::string capabilities_;                                    // one a line
};

}  // namespace postern::pop3
