// SPDX-License-Identifier: GPL-3.0-or-later
// The login at an IMAP mail server (RFC 9051 and 3501, section 6.2; 2971 ID; 4959 SASL-IR; 7888 literals; 5530 codes).
// protocol/back.h is the frame.
//
// Which way in:
//   a master user        AUTHENTICATE PLAIN with an authorisation identity; nothing else can say it
//   a token, EXTERNAL    AUTHENTICATE with that mechanism
//   LOGINDISABLED        AUTHENTICATE PLAIN, if that is offered
//   all else             LOGIN: quoted strings for short 7-bit names and passwords, literals for the rest
// As long as it need not be known what the mail server can do, nobody asks it: a plain LOGIN follows the greeting at
// once, together with ID where the pool wants that.
//
// The mail server's capabilities after login are taken from its OK or from an untagged line before it. If it says none,
// Accepted has none: the mail program will ask for itself, which costs nothing to those that do not care.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/back.h"
#include "protocol/imap/response.h"

namespace postern::imap {

class Back final : public protocol::Back {
 public:
  using protocol::Back::Back;

 private:
  enum class State : uint8_t {
    Greeting,    // the mail server speaks first
    StartTls,    // its answer to STARTTLS
    Capability,  // its answer to CAPABILITY
    Login,       // its answers to the login, and to ID
  };

  Event on_line(std::string_view line) override;
  protocol::BackEvent secured() override;
  std::string_view awaited() const override;

  Event on_greeting(const Response& response);
  Event on_starttls(const Response& response);
  Event on_capability(const Response& response);
  Event on_login(const Response& response);
  void note_untagged(const Response& response);
  void note_alert(const Response& response);

  protocol::BackEvent begin();
  protocol::BackEvent log_in();
  protocol::BackEvent ask_capability();
  protocol::BackEvent send_script();
  protocol::BackEvent send_line(std::string_view command);
  protocol::BackEvent welcomed(const Response& response);
  protocol::BackEvent turned_down(const Response& response);

  bool offers(std::string_view capability) const;
  // The SASL mechanism to log in with; Login: the command.
  protocol::Mechanism way_in() const;
  bool must_know_capabilities() const;
  void write_authenticate(protocol::Mechanism mechanism, std::string& first);
  void write_login(std::string& first);
  void write_argument(std::string& command, std::string_view argument);
  std::string id_command();
  std::string next_tag();

  State state_ = State::Greeting;
  bool inside_response_ = false;  // a literal has passed, the rest of its response follows
  unsigned tags_ = 0;
  std::string tag_;                          // of the command whose answer is awaited
  std::string id_tag_;                       // of the ID that went out with it, until its answer came
  std::optional<std::string> capabilities_;  // as far as known on this side of TLS and of the login
  std::string alerts_;
  // The login: the first part is sent at once, each other one at a "+".
  std::vector<Secret> script_;
  size_t script_sent_ = 0;
  bool token_answered_ = false;  // the mail server's reason to refuse it
};

}  // namespace postern::imap
