// SPDX-License-Identifier: GPL-3.0-or-later
// IMAP before login, towards the mail program (RFC 9051 and 3501, section 6.1 and 6.2; 2971 ID; 4959 SASL-IR; 7888
// LITERAL-). protocol/front.h is the frame.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "protocol/front.h"

namespace postern::imap {

class Front final : public protocol::Front {
 public:
  explicit Front(protocol::FrontOptions options) : protocol::Front(std::move(options)) {}

  std::string greeting() override;
  std::string bye(std::string_view text) const override;

 private:
  struct Verb;
  static const Verb verbs[];

  protocol::FrontEvent next_command() override;
  std::string challenge(std::string_view base64) const override;
  // The mail server's capabilities go into the OK; if the mail program asked for CAPABILITY before, it may not know
  // that code and gets them untagged. If the mail server said none, the mail program hears none and will ask.
  std::string say_accepted(const protocol::Accepted& accepted) override;
  std::string say_refused(const protocol::Refusal& refusal) override;
  std::string say_failed(sasl::Failure failure) override;
  std::string say_too_long() const override { return bye("[TOOBIG] That is too long"); }

  protocol::FrontEvent on_waiting_literal();
  Answer on_big_literal();
  // nullopt, here and below: the command is fine so far and goes on with the literal that was announced.
  Answer understand(std::string_view command);

  Answer capability(std::string_view arguments);
  Answer noop(std::string_view arguments);
  Answer id(std::string_view arguments);
  void note_id(std::string_view name, std::string_view value);
  Answer logout(std::string_view arguments);
  Answer starttls(std::string_view arguments);
  Answer login(std::string_view arguments);
  Answer authenticate(std::string_view arguments);

  // A reply that counts as a bad command.
  protocol::FrontEvent bad_tagged(std::string_view text) { return bad(tagged("BAD ", text)); }

  std::string capabilities() const;
  std::string privacy_required() const;
  std::string tagged(std::string_view status, std::string_view text) const;
  line::CommandLimits limits() const;

  std::string tag_;        // of the command at hand
  std::string swallowed_;  // the answer to a command whose literal is being thrown away
  bool asked_capability_ = false;
};

}  // namespace postern::imap
