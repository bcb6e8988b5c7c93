// SPDX-License-Identifier: GPL-3.0-or-later
// The login at a submission server (RFC 5321, section 4.1 and 4.2; 4954 AUTH; 3207 STARTTLS; XCLIENT as Postfix has it).
// protocol/back.h is the frame.
//
// The way in, each step where it is wanted: greeting, EHLO, STARTTLS and EHLO again, XCLIENT and EHLO again, then
//   XCLIENT LOGIN        nothing more: the mail server took our word
//   a master user        AUTH PLAIN with an authorisation identity; nothing else can say it
//   a token, EXTERNAL    AUTH with that mechanism
//   all else             AUTH PLAIN, or AUTH LOGIN where only that is offered (Exchange)
// No command line is longer than 512 octets: a longer response waits for the mail server's 334 (RFC 4954, section 4).
//
// EHLO is said even for a mail program that said HELO: there is no AUTH without it. Only where XCLIENT has logged the
// user in does HELO stay HELO.
//
// Accepted::capability is the last EHLO's list, one capability a line, without the mail server's name: RelayFilter wants
// to know whether there is CHUNKING.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/back.h"

namespace postern::smtp {

class Back final : public protocol::Back {
 public:
  using protocol::Back::Back;

 private:
  enum class State : uint8_t {
    Greeting,  // the mail server speaks first
    Hello,     // its answer to EHLO
    StartTls,  // its answer to STARTTLS
    Xclient,   // its answer to XCLIENT: a greeting
    Auth,      // its answers to AUTH
  };

  Event on_line(std::string_view line) override;
  protocol::BackEvent secured() override;
  std::string_view awaited() const override;

  void note_text(std::string_view text, bool is_first);
  protocol::BackEvent on_reply(unsigned code);
  protocol::BackEvent on_greeting(unsigned code);
  protocol::BackEvent on_hello(unsigned code);
  protocol::BackEvent on_starttls(unsigned code);
  protocol::BackEvent on_xclient(unsigned code);
  protocol::BackEvent on_auth(unsigned code);
  protocol::BackEvent turned_down(unsigned code);

  protocol::BackEvent say_hello();
  protocol::BackEvent start_tls();
  protocol::BackEvent say_xclient();
  protocol::BackEvent authenticate();
  protocol::BackEvent send_script();

  // Whether EHLO's list has the keyword, with `word` behind it if that is not empty.
  bool offers(std::string_view keyword, std::string_view word = {}) const;
  bool wants_xclient() const;
  std::vector<std::string> xclient_attributes() const;
  protocol::Mechanism way_in() const;
  void write_auth(protocol::Mechanism mechanism);
  void write_auth_login();
  // text_to_show(), also without the form that AUTH LOGIN gives a password.
  std::string shown(std::string_view text) const;

  State state_ = State::Greeting;
  unsigned code_ = 0;         // of the reply that is coming in; 0: none is
  std::string capabilities_;  // as far as known on this side of TLS and of XCLIENT
  std::string enhanced_;      // "5.7.1" of the answer to AUTH
  std::string text_;          // and its text
  protocol::Mechanism mechanism_ = protocol::Mechanism::Plain;
  bool xclient_done_ = false;
  bool token_answered_ = false;
  // XCLIENT, then AUTH: the first part is sent at once, each other one when the mail server asks to go on.
  std::vector<Secret> script_;
  size_t script_sent_ = 0;
};

}  // namespace postern::smtp
