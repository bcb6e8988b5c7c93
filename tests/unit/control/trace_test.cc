// SPDX-License-Identifier: GPL-3.0-or-later
// No piece of a password gets into a trace, in whatever form and in whatever pieces it comes.
#include "session/trace.h"

#include <gtest/gtest.h>

#include "protocol/sasl/base64.h"

namespace postern::session {
namespace {

const Instant start{std::chrono::hours(1)};
const std::string password = "hunter2-Geheimnis";

// All that is shown of a conversation whose bytes come in pieces of `size`.
std::string shown_of(Dialect dialect, const std::vector<std::pair<Voice, std::string>>& said, size_t size) {
  std::string shown;
  auto wish = std::make_shared<TraceWish>();
  wish->user = "joe";
  wish->line = [&](TraceLine line) { shown += line.text + "\n"; };
  wish->over = [&] { shown += "over\n"; };
  Trace trace(1, dialect, start);
  trace.hide(password);
  trace.named("JOE", {wish});
  for (const auto& [voice, bytes] : said) {
    for (size_t at = 0; at < bytes.size(); at += size)
      trace.said(voice, std::string_view(bytes).substr(at, size), start);
  }
  trace.finish();
  return shown;
}

void expect_hidden(std::string_view shown) {
  EXPECT_FALSE(shares(shown, password)) << shown;
  const std::string plain = std::string(1, '\0') + "joe" + std::string(1, '\0') + password;
  for (const std::string& secret : {sasl::base64_encode(password), sasl::base64_encode(plain)}) {
    for (size_t at = 0; at + 8 <= secret.size(); ++at)
      EXPECT_EQ(shown.find(secret.substr(at, 8)), shown.npos) << shown;
  }
}

TEST(Trace, HidesPasswordsOfEveryDialectInPiecesOfEverySize) {
  const std::string plain = sasl::base64_encode(std::string(1, '\0') + "joe" + std::string(1, '\0') + password);
  const std::string literal = "{" + std::to_string(password.size());
  using Said = std::vector<std::pair<Voice, std::string>>;
  const std::pair<Dialect, Said> conversations[] = {
      {Dialect::Imap, {{Voice::ProgramToGate, "a LOGIN joe " + password + "\r\nb NOOP\r\n"}}},
      {Dialect::Imap, {{Voice::ProgramToGate, "a LOGIN joe \"" + password + "\"\r\n"}}},
      {Dialect::Imap, {{Voice::ProgramToGate, "a LOGIN {3}\r\njoe " + literal + "}\r\n" + password + "\r\n"}}},
      {Dialect::Imap, {{Voice::ProgramToGate, "a LOGIN {3+}\r\njoe " + password + "\r\nc NOOP\r\n"}}},
      {Dialect::Imap, {{Voice::ProgramToGate, "a AUTHENTICATE PLAIN " + plain + "\r\n"}}},
      {Dialect::Imap,
       {{Voice::ProgramToGate, "a AUTHENTICATE PLAIN\r\n"},
        {Voice::GateToProgram, "+ \r\n"},
        {Voice::ProgramToGate, plain + "\r\n"}}},
      {Dialect::Imap,
       {{Voice::ProgramToGate, plain + "\r\n" + password + " NOOP\r\n"},
        {Voice::GateToProgram, password + " BAD what\r\n"}}},
      {Dialect::Pop3, {{Voice::ProgramToGate, "USER joe\r\nPASS " + password + "\r\n"}}},
      {Dialect::Pop3, {{Voice::ProgramToGate, "AUTH PLAIN " + plain + "\r\n"}}},
      {Dialect::Submission, {{Voice::ProgramToGate, "EHLO me\r\nAUTH PLAIN " + plain + "\r\n"}}},
      {Dialect::Submission,
       {{Voice::ProgramToGate, "AUTH LOGIN\r\n"},
        {Voice::GateToProgram, "334 VXNlcm5hbWU6\r\n"},
        {Voice::ProgramToGate, "am9l\r\n"},
        {Voice::GateToProgram, "334 UGFzc3dvcmQ6\r\n"},
        {Voice::ProgramToGate, sasl::base64_encode(password) + "\r\n"}}},
      {Dialect::Sieve, {{Voice::ProgramToGate, "AUTHENTICATE \"PLAIN\" \"" + plain + "\"\r\n"}}},
      {Dialect::Sieve,
       {{Voice::ProgramToGate, "AUTHENTICATE \"PLAIN\" {" + std::to_string(plain.size()) + "+}\r\n" + plain + "\r\n"}}},
      {Dialect::Imap, {{Voice::ServerToGate, "P1 NO wrong: " + password + "\r\n* OK said " + plain + "\r\n"}}},
      {Dialect::Imap,
       {{Voice::GateToServer, "P1 LOGIN joe " + password + "\r\nP2 AUTHENTICATE PLAIN " + plain + "\r\n"}}},
      {Dialect::Pop3, {{Voice::ServerToGate, "-ERR unknown command " + password.substr(0, 9) + "\r\n"}}},
      {Dialect::Imap, {{Voice::ProgramToGate, "a ID (\"x\" \"" + password + "\")\r\n"}}},
  };
  for (const auto& [dialect, said] : conversations) {
    for (const size_t size : {1u, 2u, 3u, 7u, 10000u}) {
      const std::string shown = shown_of(dialect, said, size);
      expect_hidden(shown);
      EXPECT_GT(shown.size(), std::string("over\n").size()) << "something is shown";
    }
  }
}

TEST(Trace, ShowsWhatIsNoSecret) {
  const std::string shown = shown_of(Dialect::Imap,
                                     {{Voice::ProgramToGate, "a1 ID (\"name\" \"mutt\")\r\na2 AUTHENTICATE PLAIN\r\n"},
                                      {Voice::GateToProgram, "a2 NO [UNAVAILABLE] Later\r\n"}},
                                     5);
  EXPECT_EQ(shown, "tag ID (\"name\" \"mutt\")\ntag AUTHENTICATE PLAIN\ntag NO [UNAVAILABLE] Later\nover\n");
}

TEST(Trace, ShowsNothingOfOthers) {
  std::string shown;
  auto wish = std::make_shared<TraceWish>();
  wish->user = "joe";
  wish->line = [&](TraceLine line) { shown += line.text; };
  wish->over = [&] { shown += "over"; };
  Trace trace(1, Dialect::Imap, start);
  trace.note("hello", start);
  trace.named("joey", {wish});
  trace.note("more", start);
  trace.finish();
  EXPECT_EQ(shown, "");
  EXPECT_EQ(wish->left.load(), 1u);
}

TEST(Trace, TakesAsManySessionsAsAreWantedAndLinesAsAreAllowed) {
  size_t lines = 0;
  auto wish = std::make_shared<TraceWish>();
  wish->user = "joe";
  wish->line = [&](TraceLine) { lines++; };
  wish->over = [] {};
  Trace first(1, Dialect::Imap, start), second(2, Dialect::Imap, start);
  first.named("joe", {wish});
  second.named("joe", {wish});
  EXPECT_TRUE(first.is_shown());
  EXPECT_FALSE(second.is_shown());
  for (size_t i = 0; i < 2 * Trace::lines_max; ++i)
    first.note("x", start);
  EXPECT_EQ(lines, Trace::lines_max);
}

}  // namespace
}  // namespace postern::session
