// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a mail program. The first byte chooses the connection and the verdicts, the second how the
// rest is cut. Whatever comes: the same bytes give the same conversation in any pieces, what we say is whole lines, and
// who we ask about has a name and a password.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "play.h"
#include "protocol/imap/front.h"

namespace {

using postern::imap::Front;
using postern::protocol::Accepted;
using postern::protocol::Credentials;
using postern::protocol::FrontOptions;
using postern::protocol::Refusal;
using postern::test::Answer;
using postern::test::FrontPlay;

FrontOptions options_of(unsigned choice) {
  FrontOptions options;
  options.hostname = "mail.example.test";
  options.tls_active = (choice & 1) != 0;
  options.starttls_offered = (choice & 2) != 0;
  options.login_allowed = (choice & 4) != 0;
  // Small limits are within a fuzzer's reach.
  if ((choice & 8) != 0) options.line_size = options.literal_size = 64;
  return options;
}

Answer verdict_on(const Credentials& credentials, unsigned choice) {
  EXPECT_OR_DIE(!credentials.user.empty());
  EXPECT_OR_DIE(!credentials.password.empty());
  EXPECT_OR_DIE(credentials.user.find('\0') == std::string::npos);
  EXPECT_OR_DIE(credentials.password.reveal().find('\0') == std::string_view::npos);
  EXPECT_OR_DIE(credentials.authzid != credentials.user);
  // The text comes from elsewhere and may be anything, so it may as well be the user's.
  if ((choice & 16) != 0)
    return Refusal{postern::protocol::RefusalCause::Passed, credentials.user, credentials.user, {}};
  return Accepted{credentials.user, credentials.user, {}};
}

std::string play(unsigned choice, std::string_view bytes, size_t piece) {
  FrontPlay<Front> play(options_of(choice), [choice](const Credentials& c) { return verdict_on(c, choice); });
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

// Between the events (which quote the user) there are only lines of ours.
void check_replies(unsigned choice, std::string_view bytes) {
  Front front(options_of(choice));
  front.feed(bytes);
  for (;;) {
    postern::protocol::FrontEvent event = front.next();
    std::string said;
    if (auto* reply = std::get_if<postern::protocol::Reply>(&event)) said = reply->bytes;
    if (auto* tls = std::get_if<postern::protocol::StartTls>(&event)) said = tls->reply;
    if (auto* goodbye = std::get_if<postern::protocol::Goodbye>(&event)) said = goodbye->text;
    if (auto* login = std::get_if<postern::protocol::Login>(&event)) {
      Answer verdict = verdict_on(login->credentials, choice);
      auto* refusal = std::get_if<Refusal>(&verdict);
      said = refusal != nullptr ? front.rejected(*refusal) : front.accepted(std::get<Accepted>(verdict));
    }
    if (std::holds_alternative<postern::protocol::NeedBytes>(event)) return;
    EXPECT_OR_DIE(said.empty() || said.ends_with("\r\n"));
    size_t line_ends = 0;
    for (size_t i = 0; i < said.size(); ++i) {
      EXPECT_OR_DIE(said[i] != '\0');
      if (said[i] == '\n') ++line_ends;
      EXPECT_OR_DIE((said[i] == '\n') == (i != 0 && said[i - 1] == '\r'));
    }
    // An answer and what belongs to it; a peer's text cannot add a line.
    EXPECT_OR_DIE(line_ends <= 2);
  }
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
