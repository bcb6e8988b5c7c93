// SPDX-License-Identifier: GPL-3.0-or-later
// ManageSieve before login, towards the mail program (RFC 5804). protocol/front.h is the frame.
//
// Strings are quoted or literals, and a literal is always on its way: this protocol has no word for "go on". The RFC
// wants "{5+}" of a mail program; "{5}" is read the same way, since its octets follow just as well. So no script that a
// mail program uploads too early is ever read as commands.
//
// The capabilities of the mail servers (FrontOptions::learned) are announced as they are, except those that speak of a
// login or a connection, which are the gate's own. SIEVE and VERSION must be in the list (section 1.7): if nothing was
// learned, SIEVE is empty and VERSION "1.0".
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "protocol/front.h"

namespace postern::sieve {

class Front final : public protocol::Front {
 public:
  explicit Front(protocol::FrontOptions options) : protocol::Front(std::move(options)) {}

  // The list of capabilities; after STARTTLS it comes again, unasked (RFC 5804, section 2.2).
  std::string greeting() override;
  std::string bye(std::string_view text) const override;

 private:
  struct Verb;
  static const Verb verbs[];

  protocol::FrontEvent next_command() override;
  // A line of SASL is a string here, and so is a challenge.
  protocol::FrontEvent next_sasl_line() override;
  std::string challenge(std::string_view base64) const override;
  // No capabilities follow: they would, if SASL had put its own encryption on the connection (section 2.1).
  std::string say_accepted(const protocol::Accepted& accepted) override;
  std::string say_refused(const protocol::Refusal& refusal) override;
  std::string say_failed(sasl::Failure failure) override;

  protocol::FrontEvent understand(std::string_view command);
  Answer on_big_literal();

  protocol::FrontEvent capability(std::string_view arguments);
  protocol::FrontEvent noop(std::string_view arguments);
  protocol::FrontEvent logout(std::string_view arguments);
  protocol::FrontEvent starttls(std::string_view arguments);
  protocol::FrontEvent authenticate(std::string_view arguments);

  std::string capabilities() const;
  line::CommandLimits limits() const;

  std::string swallowed_;  // the answer to a command whose literal is being thrown away
};

}  // namespace postern::sieve
