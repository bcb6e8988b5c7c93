// SPDX-License-Identifier: GPL-3.0-or-later
// IMAP before login, towards the mail program (RFC 9051 and 3501, section 6.1 and 6.2; 2971 ID; 4959 SASL-IR; 7888
// LITERAL-). protocol/front.h says what each member does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/front.h"
#include "protocol/line/reader.h"
#include "protocol/sasl/exchange.h"

namespace postern::imap {

class Front {
 public:
  explicit Front(protocol::FrontOptions options);

  std::string greeting() const;
  void feed(std::string_view plaintext);
  protocol::FrontEvent next();
  bool wants_bytes() const;

  // Both count only while a Login waits for its answer; at any other time they are the caller's mistake (CHECK).
  // The mail server's capabilities go into the OK; if the mail program asked for CAPABILITY before, it may not know
  // that code and gets them untagged. If the mail server said none, the mail program hears none and will ask.
  std::string accepted(const protocol::Accepted& accepted);
  std::string rejected(const protocol::Refusal& refusal);

  std::string take_unread();
  std::string bye(std::string_view text) const;

 private:
  enum class State : uint8_t {
    Command,    // a command is expected
    Sasl,       // a line of an AUTHENTICATE exchange is expected
    Verifying,  // a Login is out
    LoggedIn,   // accepted: what is fed is the mail server's
    Leaving,    // the last attempt was refused, and a Goodbye is due
    Over,       // nothing more will be understood; what is fed is dropped
  };

  // nullopt: the command is fine so far and goes on with the literal that was announced.
  using Answer = std::optional<protocol::FrontEvent>;
  struct Verb;
  static const Verb verbs[];
  static const Verb* find_verb(std::string_view name);

  protocol::FrontEvent next_command();
  protocol::FrontEvent next_sasl_line();
  protocol::FrontEvent on_waiting_literal();
  Answer on_big_literal();
  Answer understand(std::string_view command);

  Answer capability(std::string_view arguments);
  Answer noop(std::string_view arguments);
  Answer id(std::string_view arguments);
  Answer logout(std::string_view arguments);
  Answer starttls(std::string_view arguments);
  Answer login(std::string_view arguments);
  Answer authenticate(std::string_view arguments);

  protocol::FrontEvent on_sasl(sasl::Step step);
  protocol::FrontEvent log_in(protocol::Credentials credentials);
  // A refusal of our own, without a question to anybody.
  protocol::FrontEvent refuse(std::string_view answer);
  // A reply that counts as a bad command.
  protocol::FrontEvent bad(std::string reply);
  protocol::FrontEvent bad_tagged(std::string_view text) { return bad(tagged("BAD ", text)); }
  protocol::FrontEvent goodbye(std::string text, protocol::GoodbyeReason reason);
  protocol::FrontEvent too_long();

  std::string capabilities() const;
  std::string tagged(std::string_view status, std::string_view text) const;
  std::string refusal_text(const protocol::Refusal& refusal) const;
  line::CommandLimits limits() const;

  protocol::FrontOptions options_;
  line::Reader reader_;
  std::string tag_;        // of the command at hand
  std::string swallowed_;  // the answer to a command whose literal is being thrown away
  std::optional<sasl::Exchange> exchange_;
  uint32_t bad_commands_ = 0;
  uint32_t attempts_ = 0;
  State state_ = State::Command;
  bool asked_capability_ = false;
};

}  // namespace postern::imap
