// SPDX-License-Identifier: GPL-3.0-or-later
// The login at an IMAP mail server (RFC 9051 and 3501, section 6.2; 2971 ID; 4959 SASL-IR; 7888 literals; 5530 codes).
// protocol/back.h says what each member does.
//
// Which way in:
//   a master user        AUTHENTICATE PLAIN with an authorisation identity; nothing else can say it
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
#include "protocol/line/reader.h"

namespace postern::imap {

class Back {
 public:
  // No line of a login is longer: capability lists stay under 2 KiB.
  static constexpr size_t line_size_max = 8192;
  // All of a login, literals included, and its lines. A mail server that greets with a novel is broken or no mail
  // server.
  static constexpr size_t login_size_max = 65536;
  static constexpr size_t login_lines_max = 200;

  Back(protocol::BackLogin login, protocol::BackIdentity identity, protocol::BackTlsPlan tls);

  void feed(std::string_view plaintext);
  protocol::BackEvent next();
  // Only after TlsAgreed (CHECK).
  void tls_started();
  protocol::Failed closed() const;
  std::string take_unread();

 private:
  enum class State : uint8_t {
    Greeting,    // the mail server speaks first
    StartTls,    // its answer to STARTTLS
    Tls,         // it agreed; not a byte may come before tls_started()
    Secured,     // TLS stands and we have the word
    Capability,  // its answer to CAPABILITY
    Login,       // its answers to the login, and to ID
    LoggedIn,    // what is fed is the mail program's
    Over,        // refused or failed; what is fed is dropped
  };
  using Event = std::optional<protocol::BackEvent>;  // nullopt: read on

  Event next_line();
  Event skip_literal();
  Event on_line(std::string_view line);
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
  protocol::BackEvent logged_in(const Response& response);
  protocol::BackEvent refused(const Response& response);
  protocol::BackEvent fail(protocol::BackFailure failure, std::string detail);

  bool offers(std::string_view capability) const;
  bool wants_plain() const;
  bool needs_literals() const;
  bool must_know_capabilities() const;
  void write_plain(std::string& first);
  void write_login(std::string& first);
  void write_argument(std::string& command, std::string_view argument);
  std::string id_command();
  std::string next_tag();
  std::string text_to_show(const Response& response) const;
  bool holds_password(std::string_view text) const;
  Secret plain_message() const;
  std::string_view awaited() const;
  void forget_secrets();

  protocol::BackLogin login_;
  protocol::BackIdentity identity_;
  protocol::BackTlsPlan tls_;
  State state_ = State::Greeting;
  line::Reader reader_;
  size_t literal_left_ = 0;
  bool inside_response_ = false;  // a literal has passed, the rest of its response follows
  size_t size_ = 0;               // read so far
  size_t lines_ = 0;
  unsigned tags_ = 0;
  std::string tag_;                          // of the command whose answer is awaited
  std::string id_tag_;                       // of the ID that went out with it, until its answer came
  std::optional<std::string> capabilities_;  // as far as known on this side of TLS and of the login
  std::string alerts_;
  // The login: the first part is sent at once, each other one at a "+".
  std::vector<Secret> script_;
  size_t script_sent_ = 0;
};

}  // namespace postern::imap
