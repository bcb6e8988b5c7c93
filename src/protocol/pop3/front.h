// SPDX-License-Identifier: GPL-3.0-or-later
// POP3 before login, towards the mail program (RFC 1939; 2449 CAPA and response codes; 2595 STLS; 3206 AUTH and SYS;
// 5034 AUTH; 6856 UTF8). protocol/front.h is the frame.
//
// Of APOP there is nothing: it needs a timestamp of the mail server's in our greeting, and the password in clear.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/front.h"

namespace postern::pop3 {

class Front final : public protocol::Front {
 public:
  explicit Front(protocol::FrontOptions options) : protocol::Front(std::move(options)) {}

  std::string greeting() override;
  // POP3 has no word for this. It is read as the answer to the next command, maybe a PASS that is on its way: hence
  // [SYS/TEMP], with which no mail program doubts its password.
  std::string bye(std::string_view text) const override;
  void describe(protocol::BackIdentity& identity) const override;

 private:
  struct Verb;
  static const Verb verbs[];

  protocol::FrontEvent next_command() override;
  std::string challenge(std::string_view base64) const override;
  std::string say_accepted(const protocol::Accepted& accepted) override;
  std::string say_refused(const protocol::Refusal& refusal) override;
  std::string say_failed(sasl::Failure failure) override;
  // Every command has one answer, so behind the last one nothing can be said.
  std::string say_last(std::string answer, std::string_view) const override { return answer; }
  std::string say_too_long() const override;

  protocol::FrontEvent understand(std::string_view command);

  protocol::FrontEvent capa(std::string_view arguments);
  protocol::FrontEvent noop(std::string_view arguments);
  protocol::FrontEvent utf8(std::string_view arguments);
  protocol::FrontEvent xclient(std::string_view arguments);
  protocol::FrontEvent quit(std::string_view arguments);
  protocol::FrontEvent stls(std::string_view arguments);
  protocol::FrontEvent user(std::string_view name);
  protocol::FrontEvent pass(std::string_view password);
  protocol::FrontEvent auth(std::string_view arguments);
  protocol::FrontEvent not_offered(std::string_view arguments);
  protocol::FrontEvent later(std::string_view arguments);

  // Why USER and PASS are impossible here; nullopt: they are not.
  Answer no_password();
  // False: an attribute with a value that cannot be.
  bool note_attribute(std::string_view name, std::string_view value);

  std::string name_;  // USER's, until its PASS
  bool utf8_ = false;
};

}  // namespace postern::pop3
