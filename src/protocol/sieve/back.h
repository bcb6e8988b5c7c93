// SPDX-License-Identifier: GPL-3.0-or-later
// The login at a ManageSieve mail server (RFC 5804). protocol/back.h is the frame.
//
// The only way in is AUTHENTICATE. The mail server greets with the list of its mechanisms, so what is not in it is not
// tried: a mail server that knows no tokens would call every token wrong.
//   a master user        PLAIN with an authorisation identity; nothing else can say it
//   a mechanism given    that one; Login is SASL's LOGIN here
//   all else             PLAIN, or LOGIN where PLAIN is not offered
// An initial response is always legal here, so all but LOGIN take one step.
//
// After STARTTLS the list comes again unasked (section 2.2), and the first one does not count any more. Behind the OK of
// the login some mail servers send it once more: that is for the mail program, and we do not look at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/back.h"
#include "protocol/sieve/text.h"

namespace postern::sieve {

class Back final : public protocol::Back {
 public:
  using protocol::Back::Back;

 private:
  enum class State : uint8_t {
    Greeting,  // the mail server speaks first: its capabilities, then OK
    StartTls,  // its answer to STARTTLS
    Secured,   // its capabilities again, inside TLS
    Login,     // its answers to the login
  };

  Event on_line(std::string_view line) override;
  protocol::BackEvent secured() override;
  std::string_view awaited() const override;
  std::optional<line::CommandLimits> literals() const override;

  Event on_capabilities(const Response& response, std::string_view line);
  Event on_starttls(const Response& response);
  Event on_login(const Response& response, std::string_view line);
  Event on_challenge(std::string_view line);

  void note_capability(std::string_view line);
  protocol::BackEvent begin();
  protocol::BackEvent log_in();
  protocol::BackEvent turned_down(const Response& response);
  protocol::BackEvent send_script();

  bool offers(protocol::Mechanism mechanism) const;
  // The SASL mechanism to log in with.
  protocol::Mechanism way_in() const;
  std::string no_way_in(protocol::Mechanism wanted) const;
  void write_authenticate(protocol::Mechanism mechanism);
  void write_part(std::string_view before, std::string_view base64);

  State state_ = State::Greeting;
  // What the list said, on this side of TLS.
  std::string mechanisms_;
  bool offers_starttls_ = false;
  std::string capabilities_;  // one a line; kept for a probe only
  // The login: the first part is sent at once, each other one at a challenge.
  std::vector<Secret> script_;
  size_t script_sent_ = 0;
};

}  // namespace postern::sieve
