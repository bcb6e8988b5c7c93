// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a mail program. The first byte chooses the connection and the verdicts, the second how the
// rest is cut. Whatever comes: the same bytes give the same conversation in any pieces, what we say is whole replies, and
// who we ask about has a name and a password.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "play.h"
#include "protocol/smtp/front.h"

namespace {

using postern::protocol::Accepted;
using postern::protocol::BackIdentity;
using postern::protocol::Credentials;
using postern::protocol::FrontEvent;
using postern::protocol::FrontOptions;
using postern::protocol::Mechanism;
using postern::protocol::Refusal;
using postern::smtp::Front;
using postern::test::Answer;
using postern::test::FrontPlay;

FrontOptions options_of(unsigned choice) {
  FrontOptions options;
  options.hostname = "mail.example.test";
  options.tls_active = (choice & 1) != 0;
  options.starttls_offered = (choice & 2) != 0;
  options.login_allowed = (choice & 4) != 0;
  // Small limits are within a fuzzer's reach.
  if ((choice & 8) != 0) options.line_size = 64;
  options.may_name_address = (choice & 32) != 0;
  options.learned = "SIZE 1000\nSTARTTLS\nAUTH PLAIN\nDSN";
  options.means.mechanisms.add(Mechanism::OAuthBearer);
  options.means.mechanisms.add(Mechanism::XOAuth2);
  return options;
}

Answer verdict_on(const Credentials& credentials, unsigned choice) {
  EXPECT_OR_DIE(!credentials.user.empty() || credentials.mechanism == Mechanism::OAuthBearer);
  EXPECT_OR_DIE(!credentials.password.empty());
  EXPECT_OR_DIE(credentials.authzid.empty() || credentials.authzid != credentials.user);
  if (!postern::protocol::is_token(credentials.mechanism)) {
    EXPECT_OR_DIE(credentials.user.find('\0') == std::string::npos);
    EXPECT_OR_DIE(credentials.password.reveal().find('\0') == std::string_view::npos);
  }
  // The text comes from elsewhere and may be anything, so it may as well be the user's.
  if ((choice & 16) != 0) {
    return Refusal{postern::protocol::RefusalCause::Passed, credentials.user, credentials.user, credentials.user};
  }
  return Accepted{credentials.user, credentials.user, credentials.user};
}

std::string play(unsigned choice, std::string_view bytes, size_t piece) {
  FrontPlay<Front> play(options_of(choice), [choice](const Credentials& c) { return verdict_on(c, choice); });
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

// Whole lines, each of which begins with a code; no peer's text adds one. The longest reply is EHLO's.
void expect_reply(std::string_view said) {
  constexpr size_t lines_max = 8;
  size_t lines = 0;
  while (!said.empty()) {
    const size_t end = said.find("\r\n");
    EXPECT_OR_DIE(end != said.npos && end >= 4);
    const std::string_view line = said.substr(0, end);
    EXPECT_OR_DIE(line.find_first_of(std::string_view("\r\n\0", 3)) == line.npos);
    EXPECT_OR_DIE(line.find_first_not_of("0123456789") == 3 && (line[3] == ' ' || line[3] == '-'));
    EXPECT_OR_DIE(++lines <= lines_max);
    said.remove_prefix(end + 2);
    EXPECT_OR_DIE(line[3] == ' ' || !said.empty());
  }
}

void check_replies(unsigned choice, std::string_view bytes) {
  Front front(options_of(choice));
  front.feed(bytes);
  for (;;) {
    FrontEvent event = front.next();
    if (std::holds_alternative<postern::protocol::NeedBytes>(event)) break;
    if (auto* reply = std::get_if<postern::protocol::Reply>(&event)) expect_reply(reply->bytes);
    if (auto* tls = std::get_if<postern::protocol::StartTls>(&event)) expect_reply(tls->reply);
    if (auto* goodbye = std::get_if<postern::protocol::Goodbye>(&event)) expect_reply(goodbye->text);
    if (auto* login = std::get_if<postern::protocol::Login>(&event)) {
      Answer verdict = verdict_on(login->credentials, choice);
      auto* refusal = std::get_if<Refusal>(&verdict);
      expect_reply(refusal != nullptr ? front.rejected(*refusal) : front.accepted(std::get<Accepted>(verdict)));
    }
  }
  // It goes into a command of ours as it is.
  BackIdentity identity;
  front.describe(identity);
  EXPECT_OR_DIE(identity.helo.find_first_of(std::string_view(" \t\r\n\0", 5)) == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = play(data[0], bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play(data[0], bytes, 1) == whole);
  EXPECT_OR_DIE(play(data[0], bytes, 1 + data[1] % 64) == whole);
  check_replies(data[0], bytes);
  return 0;
}
