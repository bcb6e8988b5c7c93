// SPDX-License-Identifier: GPL-3.0-or-later
// Mail submission before login, towards the mail program (RFC 6409, 5321; 4954 AUTH; 3207 STARTTLS; 2920 PIPELINING;
// 3463 enhanced codes; 3030 BDAT). protocol/front.h is the frame.
//
// Nothing of a message is taken before login, so no line end here can hide a second message in a first: lines may end in
// a bare LF, as old mail programs and scripts send them. What comes behind the login is RelayFilter's.
//
// A host that may name its users' addresses says XCLIENT, as Postfix understands it, and is greeted again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/front.h"

namespace postern::smtp {

class Front final : public protocol::Front {
 public:
  explicit Front(protocol::FrontOptions options) : protocol::Front(std::move(options)) {}

  std::string greeting() override;
  // 421: legal between replies at any time (RFC 5321, section 3.8).
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
  std::string say_last(std::string answer, std::string_view why) const override;
  std::string say_too_long() const override;

  protocol::FrontEvent understand(std::string_view command);

  protocol::FrontEvent ehlo(std::string_view arguments);
  protocol::FrontEvent helo(std::string_view arguments);
  protocol::FrontEvent starttls(std::string_view arguments);
  protocol::FrontEvent auth(std::string_view arguments);
  protocol::FrontEvent noop(std::string_view arguments);
  protocol::FrontEvent rset(std::string_view arguments);
  protocol::FrontEvent help(std::string_view arguments);
  protocol::FrontEvent vrfy(std::string_view arguments);
  protocol::FrontEvent expn(std::string_view arguments);
  protocol::FrontEvent quit(std::string_view arguments);
  protocol::FrontEvent transaction(std::string_view arguments);
  protocol::FrontEvent bdat(std::string_view arguments);
  protocol::FrontEvent xclient(std::string_view arguments);

  bool meet(std::string_view arguments, bool is_old);
  bool note_xclient(std::string_view attribute);
  std::string log_in_first() const;
  std::string name() const;

  std::string helo_;  // EHLO's or HELO's argument; empty: not said yet
  bool helo_is_old_ = false;
  uint32_t chunk_left_ = 0;  // octets of a BDAT chunk that are still to be thrown away
  bool in_chunk_ = false;
};

}  // namespace postern::smtp
