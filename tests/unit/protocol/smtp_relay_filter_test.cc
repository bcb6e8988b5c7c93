// SPDX-License-Identifier: GPL-3.0-or-later
// What passes smtp::RelayFilter in each direction, turn by turn, each turn in every cut.
#include "protocol/smtp/relay_filter.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "play.h"

namespace postern::smtp {
namespace {

using std::string_literals::operator""s;

// What one side sends, and what comes out of the filter on both.
struct Turn {
  enum class Side : uint8_t { Program, Server };
  Side side;
  std::string bytes;
  std::string to_front;
  std::string to_back;
};

Turn program(std::string bytes, std::string to_back) {
  return {Turn::Side::Program, std::move(bytes), {}, std::move(to_back)};
}
// Passes unchanged.
Turn program(const std::string& bytes) {
  return program(bytes, bytes);
}
Turn server(std::string bytes, std::string to_front, std::string to_back = {}) {
  return {Turn::Side::Server, std::move(bytes), std::move(to_front), std::move(to_back)};
}
Turn server(const std::string& bytes) {
  return server(bytes, bytes);
}

// Behind this command nothing is the mail program's any more, and the mail server is asked to hang up.
std::vector<Turn> lost(const std::string& command, const std::string& refused = "BDAX\r\n") {
  return {program(command + "NOOP\r\nMAIL FROM:<>\r\n", refused + "QUIT\r\n"), program("RSET\r\n", ""),
          server("500 what\r\n221 bye\r\n")};
}

struct Conversation {
  const char* name;
  std::vector<Turn> turns;
  std::string_view capabilities = "PIPELINING\nCHUNKING";
};

void PrintTo(const Conversation& conversation, std::ostream* out) {
  *out << conversation.name;
}

void take_turn(RelayFilter& filter, const Turn& turn, const std::vector<std::string_view>& pieces) {
  std::string to_front;
  std::string to_back;
  for (const std::string_view piece : pieces) {
    if (turn.side == Turn::Side::Program) {
      filter.from_front(piece, to_back);
    } else {
      filter.from_back(piece, to_front, to_back);
    }
  }
  ASSERT_EQ(to_front, turn.to_front) << "to the mail program, at " << turn.bytes.substr(0, 200);
  ASSERT_EQ(to_back, turn.to_back) << "to the mail server, at " << turn.bytes.substr(0, 200);
  if (turn.side == Turn::Side::Program) {
    ASSERT_LE(to_back.size(), 3 * turn.bytes.size());
  }
}

class FilterConversation : public testing::TestWithParam<Conversation> {};

// One turn is cut, the others are whole; and once all are cut to bytes.
TEST_P(FilterConversation, IsTheSameInEveryCut) {
  const Conversation& talk = GetParam();
  for (size_t cut_turn = 0; cut_turn < talk.turns.size(); ++cut_turn) {
    for (const auto& pieces : test::all_cuts(talk.turns[cut_turn].bytes)) {
      RelayFilter filter(talk.capabilities);
      for (size_t i = 0; i < talk.turns.size(); ++i) {
        const Turn& turn = talk.turns[i];
        ASSERT_NO_FATAL_FAILURE(
            take_turn(filter, turn, i == cut_turn ? pieces : std::vector<std::string_view>{turn.bytes}));
      }
      EXPECT_LE(filter.heap_size(), 3 * RelayFilter::command_size_max);
    }
  }
  RelayFilter filter(talk.capabilities);
  for (const Turn& turn : talk.turns)
    ASSERT_NO_FATAL_FAILURE(take_turn(filter, turn, test::all_cuts(turn.bytes)[1]));
}

std::string times(size_t count, std::string_view text) {
  std::string all;
  for (size_t i = 0; i < count; ++i)
    all += text;
  return all;
}

const std::string ok = "250 2.0.0 ok\r\n";
const std::string go_on = "354 go on\r\n";

const Conversation commands[] = {
    {"Transaction",
     {program("MAIL FROM:<joe@example.test> SIZE=7 AUTH=<>\r\nrcpt to:<\xc3\xa4@example.test>\r\nRSET\r\n"),
      server(ok + "550-no\r\n550 no\r\n" + ok),
      program("VRFY x\r\nEXPN x\r\nHELP\r\nNOOP x\r\nETRN x\r\nBURL x LAST\r\n"),
      server("252 x\r\n250-a\r\n250-STARTTLS\r\n250 AUTH\r\n214-STARTTLS\r\n214 x\r\n"), program("Quit\r\n"),
      server("221 bye\r\n")}},
    // Case smtp-pipelined-after-auth: the beginning of a command does not wait for its end.
    {"PipelinedAfterAuth", {program("MAIL FROM:<joe@example.test>\r\nRS"), program("ET\r\n"), server(ok + ok)}},
    {"BareLineFeedsBecomeLines", {program("NOOP\nRSET\nNOOP x\n", "NOOP\r\nRSET\r\nNOOP x\r\n"), server(times(3, ok))}},
    {"TabsAreBlanks", {program("NOOP\tx\r\nNOOP \t\r\n")}},
    {"Forbidden",
     {program("XCLIENT ADDR=192.0.2.7\r\nxforward NAME=x\r\nStartTls\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\nNOOP\r\n",
              times(4, "X\r\n") + "NOOP\r\n"),
      server(times(4, "500 5.5.1 what\r\n") + ok)}},
    // AUTH is refused, so what was to be its answers are commands, and mostly bad ones.
    {"AuthOverSeveralLines", {program("AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n*\r\n", times(4, "X\r\n"))}},
    // All of these are XCLIENT to some Postfix.
    {"ForbiddenInDisguise",
     {program(" XCLIENT A=1\r\n\tXCLIENT A=1\r\n\\XCLIENT A=1\r\n\"XCLIENT\" A=1\r\n<XCLIENT A=1\r\n[XCLIENT\r\n"
              "\0XCLIENT\r\n\rXCLIENT\r\n\vXCLIENT\r\n\x80XCLIENT\r\n:XCLIENT\r\n"s,
              times(11, "X\r\n"))}},
    {"ForbiddenBehindACommand",
     {program("NOOP\rXCLIENT A=1\r\nNOOP x\rXCLIENT A=1\nNOOP\0XCLIENT\r\nNOOP\vx\r\nNOOP\r\r\n"s,
              times(5, "NOOX\r\n"))}},
    {"ForbiddenBehindALongLine",
     {program("NOOP " + times(2041, "x") + "\r\n"), program("NOOP " + times(2042, "x") + "XCLIENT A=1\r\n", "NOOX\r\n"),
      program(times(70000, "y") + "\r\n", "X\r\n")}},
    {"NoVerbAtAll",
     {program("\r\n\n.\r\n250 ok\r\nMAILFROM:<x>\r\nMAIL:x\r\nMAI\r\nDATAX\r\nE\r\nEHLO2\r\nLHLO x\r\nSEND x\r\n",
              "X\r\nX\r\nX\r\nX\r\nMAIX\r\nMAIX\r\nMAIX\r\nDATX\r\nEX\r\nEHLX\r\nX\r\nX\r\n")}},
    {"RepliesOutOfTheBlue", {server("421 4.4.2 timeout\r\n"), server("garbage\r\n250-x\r\n250 y\r\n\r\n+OK\r\n")}},
};
INSTANTIATE_TEST_SUITE_P(Commands, FilterConversation, testing::ValuesIn(commands));

const Conversation hellos[] = {
    {"EhloIsFiltered",
     {program("EHLO client.example.test\r\n"),
      server(
          "250-mx.example.test\r\n250-SIZE 7\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250-auth=LOGIN\r\n250-XCLIENT A\r\n"
          "250-XFORWARD A\r\n250-X-EXPS NTLM\r\n250-PIPELINING\r\n250 DSN\r\n",
          "250-mx.example.test\r\n250-SIZE 7\r\n250-PIPELINING\r\n250 DSN\r\n"),
      program("NOOP\r\n"), server("250-STARTTLS\r\n250 AUTH\r\n")}},
    {"LastLineGoes",
     {program("EHLO x\r\n"),
      server("250-mx\r\n250-SIZE 7\r\n250-AUTH PLAIN\r\n250 starttls\r\n", "250-mx\r\n250 SIZE 7\r\n")}},
    {"AllButTheNameGoes", {program("EHLO x\r\n"), server("250-mx\r\n250 STARTTLS\r\n", "250 mx\r\n")}},
    {"NameAlone", {program("EHLO x\r\n"), server("250 AUTH\r\n")}},
    {"CodesAlone",
     {program("EHLO x\r\n"), server("250-\r\n250-SIZE\n250\r\n", "250-\r\n250 SIZE\r\n"), program("EHLO x\r\n"),
      server("250\r\n", "250 \r\n")}},
    {"Unprintable",
     {program("EHLO x\r\n"),
      server("250-mx\r\n250- STARTTLS\r\n250-\tAUTH\r\n250-STARTTLS\t\r\nAUTH\r\n250-A\rB\r\n250 DSN\r\n",
             "250-mx\r\n250 DSN\r\n")}},
    {"LongLines",
     {program("EHLO x\r\n"), server("250-" + times(3000, "m") + "\r\n250-SIZE " + times(3000, "7") +
                                        "\r\n250-STARTTLS" + times(3000, " ") + "\r\n250 DSN\r\n",
                                    "250-" + times(1020, "m") + "\r\n250 DSN\r\n")}},
    {"Endless",
     {program("EHLO x\r\n"), server("250-mx\r\n" + times(500, "250-AUTH\r\n250-SIZE\r\n") + "250 AUTH\r\n",
                                    "250-mx\r\n" + times(499, "250-SIZE\r\n") + "250 SIZE\r\n")}},
    {"Refused",
     {program("EHLO x\r\n"), server("550-AUTH\r\n550-X\r\n550 STARTTLS\r\n"), program("NOOP\r\n"), server(ok)}},
    {"HeloIsNot", {program("HELO x\r\n"), server("250-mx\r\n250 AUTH\r\n")}},
    // The reply is the one behind those that are due before it.
    {"BehindOthers",
     {program("RSET\r\nNOOP\r\nEHLO x\r\n"),
      server("250-x\r\n250 STARTTLS\r\n250-x\r\n250 AUTH\r\n250-mx\r\n250-AUTH\r\n250 DSN\r\n",
             "250-x\r\n250 STARTTLS\r\n250-x\r\n250 AUTH\r\n250-mx\r\n250 DSN\r\n")}},
    // What comes behind it waits, and is then looked at like anything else.
    {"HoldsWhatFollows",
     {program("EHLO x\r\nNOOP\r\nXCLIENT A=1\r\nEHLO y\r\nRSET\r\n", "EHLO x\r\n"), program("QUIT\r\n", ""),
      server("250 mx\r\n", "250 mx\r\n", "NOOP\r\nX\r\nEHLO y\r\n"),
      server(ok + "500 what\r\n250-mx\r\n250 AUTH\r\n", ok + "500 what\r\n250 mx\r\n", "RSET\r\nQUIT\r\n")}},
};
INSTANTIATE_TEST_SUITE_P(Hello, FilterConversation, testing::ValuesIn(hellos));

// A message that holds what a command must not.
const std::string honest =
    "Subject: x\r\n\r\nXCLIENT ADDR=1\r\nAUTH PLAIN\r\n..\r\n.x\r\n..x\r\n\x80 \t\r\nDATA\r\nx.\r\n. \r\n";
const std::string end = ".\r\n";

// Behind DATA: what the mail program sends, and what the mail server gets.
std::vector<Turn> message(const std::string& bytes, const std::string& to_back) {
  return {program("DATA\r\n"), server(go_on), program(bytes, to_back), server(ok), program("XCLIENT A=1\r\n", "X\r\n")};
}

const Conversation messages[] = {
    {"Honest", message(honest + end, honest + end)},
    {"Empty", message(end, end)},
    {"LongLine", message(times(5000, "x") + "\r\n" + end, times(5000, "x") + "\r\n" + end)},
    {"CommandsBehindIt", message(honest + end + "XCLIENT A=1\r\nNOOP\r\n", honest + end + "X\r\nNOOP\r\n")},
    {"TwoMessages",
     {program("MAIL FROM:<>\r\nRCPT TO:<x>\r\nDATA\r\n"), server(ok + ok + go_on),
      program(honest + end + "MAIL FROM:<>\r\nRCPT TO:<x>\r\nDATA\r\n"), server(ok), server(ok + ok + go_on),
      program(honest + end + "QUIT\r\n"), server(ok + "221 bye\r\n")}},
    // A mail program that does not wait for 354.
    {"HeldUntilThe354",
     {program("MAIL FROM:<>\r\nDATA\r\nXCLIENT A=1\r\n", "MAIL FROM:<>\r\nDATA\r\n"),
      program("\r\n" + end + "NOOP\r\n", ""), server(ok),
      server("354-go\r\n354 on\r\n", "354-go\r\n354 on\r\n", "XCLIENT A=1\r\n\r\n" + end + "NOOP\r\n")}},
    // Not 354, so no message: what the mail program sends are commands.
    {"DataRefused",
     {program("DATA\r\nXCLIENT A=1\r\n" + end + "NOOP\r\n", "DATA\r\n"),
      server("554 5.5.1 no recipients\r\n", "554 5.5.1 no recipients\r\n", "X\r\nX\r\nNOOP\r\n")}},
    {"OtherPositiveReply",
     {program("DATA\r\nXCLIENT A=1\r\n", "DATA\r\n"), server("250 ok\r\n", "250 ok\r\n", "X\r\n")}},
    {"354IsNotDatas",
     {program("NOOP\r\nDATA\r\nXCLIENT A=1\r\n", "NOOP\r\nDATA\r\n"), server(go_on),
      server("503 no\r\n", "503 no\r\n", "X\r\n")}},
    {"354OutOfTheBlue", {server(go_on), program("XCLIENT A=1\r\n", "X\r\n")}},
    // A mail server that gives up in the middle has answered the message.
    {"GivesUpInTheMiddle",
     {program("DATA\r\n"), server(go_on), program("x\r\n"), server("552 5.3.4 too big\r\n"),
      program("y\r\n" + end + "DATA\r\n"), server(go_on), program("XCLIENT A=1\r\n" + end), server(ok)}},
};
INSTANTIATE_TEST_SUITE_P(Messages, FilterConversation, testing::ValuesIn(messages));

// Each of these is the end of a message to some mail server, and none to RFC 5321: the dot gets a second one.
struct Smuggled {
  const char* name;
  std::string end, to_back;
};

const Smuggled smuggled[] = {
    {"LfDotLf", "\n.\n", "\n..\n"},
    {"LfDotCrlf", "\n.\r\n", "\n..\r\n"},
    {"CrlfDotLf", "\r\n.\n", "\r\n..\n"},
    {"CrDotCr", "\r.\r", "\r..\r"},
    {"CrDotLf", "\r.\n", "\r..\n"},
    {"CrDotCrlf", "\r.\r\n", "\r..\r\n"},
    {"CrlfDotCr", "\r\n.\r", "\r\n..\r"},
    {"CrlfDotCrCrlf", "\r\n.\r\r\n", "\r\n..\r\r\n"},
    {"CrlfDotCrDot", "\r\n.\r.\r", "\r\n..\r..\r"},
    {"CrCrDotCr", "\r\r.\r", "\r\r..\r"},
    {"LfCrDotLf", "\n\r.\n", "\n\r..\n"},
    {"NulDotCrlf", "\r\n\0.\r\n"s, "\r\n\0..\r\n"s},
    {"DotNulCrlf", "\r\n.\0\r\n"s, "\r\n..\0\r\n"s},
    {"CrNulLfDotLf", "\r\0\n.\n"s, "\r\0\n..\n"s},
    {"BareLfThenNulDot", "\n\0\0.\0\n"s, "\n\0\0..\0\n"s},
};

TEST(RelayFilter, LetsNoMessageEndButInOneWay) {
  for (const Smuggled& one : smuggled) {
    const std::string behind = "XCLIENT A=1\r\nAUTH x\r\n" + end;
    const std::vector<Turn> turns = message("x" + one.end + behind, "x" + one.to_back + behind);
    for (const auto& pieces : test::all_cuts(turns[2].bytes)) {
      RelayFilter filter;
      for (const Turn& turn : turns) {
        SCOPED_TRACE(one.name);
        const bool cut = &turn == &turns[2];
        ASSERT_NO_FATAL_FAILURE(take_turn(filter, turn, cut ? pieces : std::vector<std::string_view>{turn.bytes}));
      }
    }
  }
}

// CR before CRLF changes nothing: the last four bytes before the end's LF are what they must be.
TEST(RelayFilter, EndsAtCrlfDotCrlfWhateverStandsBefore) {
  for (const char* before : {"", "\r", "\n", "\n\r", "\r\n", "\r\n.\n"}) {
    const std::string text = before + "\r\n.\r\n"s;
    RelayFilter filter;
    std::string to_front;
    std::string to_back;
    filter.from_front("DATA\r\n", to_back);
    filter.from_back(go_on, to_front, to_back);
    filter.from_front("x" + text + "XCLIENT A=1\r\n", to_back);
    EXPECT_TRUE(to_back.ends_with("\r\n.\r\nX\r\n")) << to_back;
  }
}

const Conversation chunks[] = {
    {"Passes",
     {program("MAIL FROM:<>\r\nBDAT 13\r\nXCLIENT A=1\r\nbdat 3 last\r\n\n.\nXCLIENT A=1\r\nBDAT 0 LAST\r\nNOOP\r\n",
              "MAIL FROM:<>\r\nBDAT 13\r\nXCLIENT A=1\r\nbdat 3 LAST\r\n\n.\nX\r\nBDAT 0 LAST\r\nNOOP\r\n"),
      server(times(6, ok))}},
    {"BlanksBehindIt", {program("BDAT 3 LAST \t\r\nabcNOOP\n", "BDAT 3 LAST\r\nabcNOOP\r\n")}},
    {"BlanksBeforeIt", {program("BDAT \t3\r\nabc", "BDAT 3\r\nabc")}},
    // What is not read in one way only does not reach the mail server, and nobody can say where its octets end.
    {"OctalSize", lost("BDAT 010\r\n")},
    {"NegativeSize", lost("BDAT -1\r\n")},
    {"SizeBeyondTheLimit", lost("BDAT 4294967301\r\n")},
    {"NoSize", lost("bdat\r\n", "bdaX\r\n")},
    {"NotLast", lost("BDAT 3 x\r\n")},
    {"ControlInTheSize", lost("BDAT 3\x01\r\n")},
    {"SizeWithoutABlank", lost("BDAT3\r\n")},
    // Here the octets would be commands to the mail server.
    {"NotAnnounced",
     {program("BDAT 13\r\nXCLIENT A=1\r\nNOOP\r\n", "BDAX\r\nNOOP\r\n"), server("500 what\r\n" + ok)},
     "PIPELINING"},
    {"AnnouncedLater",
     {program("EHLO x\r\n"), server("250-mx\r\n250 CHUNKING\r\n"), program("BDAT 3\r\nabc"), server(ok)},
     ""},
    {"NoMoreAnnounced",
     {program("EHLO x\r\n"), server("250-mx\r\n250 DSN\r\n"), program("BDAT 3\r\nabcNOOP\r\n", "BDAX\r\nNOOP\r\n")}},
    {"ARefusedEhloChangesNothing",
     {program("EHLO x\r\n"), server("501-x\r\n501 CHUNKING\r\n"), program("BDAT 3\r\nabc")}},
    {"NoneBehindHelo",
     {program("HELO x\r\n"), server("250 mx\r\n"), program("BDAT 3\r\nabcNOOP\r\n", "BDAX\r\nNOOP\r\n")}},
    {"ANameIsNoAnnouncement",
     {program("EHLO x\r\n"), server("250-CHUNKING\r\n250 DSN\r\n"),
      program("BDAT 3\r\nabcNOOP\r\n", "BDAX\r\nNOOP\r\n")}},
};
INSTANTIATE_TEST_SUITE_P(Chunks, FilterConversation, testing::ValuesIn(chunks));

// It holds what one call brought and an unfinished command, and asks for no more until that has gone.
TEST(RelayFilter, StopsReadingWhileItHoldsBytes) {
  RelayFilter filter;
  std::string to_front;
  std::string to_back;
  filter.from_front("DATA\r\n", to_back);
  EXPECT_TRUE(filter.wants_front_bytes());
  EXPECT_EQ(filter.heap_size(), 0u);
  filter.from_front(std::string(1000, 'x'), to_back);
  EXPECT_FALSE(filter.wants_front_bytes());
  EXPECT_GE(filter.heap_size(), 1000u);
  filter.from_back(go_on, to_front, to_back);
  EXPECT_TRUE(filter.wants_front_bytes());
  EXPECT_EQ(filter.heap_size(), 0u);
  EXPECT_EQ(to_back, "DATA\r\n" + std::string(1000, 'x'));
}

TEST(RelayFilter, HoldsNoMemoryAtRest) {
  EXPECT_LT(sizeof(RelayFilter), 100u);
  RelayFilter filter("CHUNKING");
  std::string to_front;
  std::string to_back;
  const auto at_rest = [&](std::string_view from_front, std::string_view from_back) {
    for (const char c : from_front)
      filter.from_front({&c, 1}, to_back);
    for (const char c : from_back)
      filter.from_back({&c, 1}, to_front, to_back);
    EXPECT_EQ(filter.heap_size(), 0u) << from_front;
    EXPECT_TRUE(filter.between_commands()) << from_front;
  };
  at_rest("", "");
  at_rest("MAIL FROM:<a-long-name-that-needs-the-heap@example.test>\r\n", ok);
  at_rest("EHLO a-long-name-that-needs-the-heap.example.test\r\n",
          "250-a-long-name-that-needs-the-heap.example.test\r\n250-AUTH PLAIN LOGIN GSSAPI NTLM\r\n250 SIZE "
          "1000000000\r\n");
  at_rest("XCLIENT ADDR=192.0.2.7 NAME=a-long-name-that-needs-the-heap.example.test\r\n", "500 what\r\n");
  at_rest("NOOP " + std::string(5000, 'x') + "\r\n", "500 what\r\n");
  at_rest("BDAT 3\r\nabc", ok);
}

// A 421 of ours may only stand between two replies, and never within a message.
TEST(RelayFilter, KnowsWhenNothingIsUnderWay) {
  RelayFilter filter;
  std::string out;
  EXPECT_TRUE(filter.between_commands());
  filter.from_front("NO", out);
  EXPECT_FALSE(filter.between_commands());
  filter.from_front("OP\r\n", out);
  EXPECT_FALSE(filter.between_commands());
  filter.from_back("250-x\r\n", out, out);
  EXPECT_FALSE(filter.between_commands());
  filter.from_back("250 x\r\n", out, out);
  EXPECT_TRUE(filter.between_commands());
  filter.from_front("DATA\r\n", out);
  filter.from_back(go_on, out, out);
  EXPECT_FALSE(filter.between_commands());
  filter.from_front(end, out);
  EXPECT_FALSE(filter.between_commands());
  filter.from_back(ok, out, out);
  EXPECT_TRUE(filter.between_commands());
  filter.from_back("4", out, out);
  EXPECT_FALSE(filter.between_commands());
}

}  // namespace
}  // namespace postern::smtp
