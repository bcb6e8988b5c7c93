// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of a mail program with pop3::Front, each in every cut: what is said back, and what is asked of whom.
#include "protocol/pop3/front.h"

#include <gtest/gtest.h>

#include "conversation.h"
#include "protocol/sasl/base64.h"

namespace postern::pop3 {
namespace {

using protocol::Accepted;
using protocol::Credentials;
using protocol::FrontOptions;
using protocol::Mechanism;
using protocol::Mechanisms;
using protocol::Refusal;
using protocol::RefusalCause;
using test::accept;
using test::Answer;
using test::in_clear;
using test::nobody_asks;
using test::refuse;
using test::times;
using Conversation = test::FrontTalk<Front>;
using Play = test::FrontPlay<Front>;
using std::string_literals::operator""s;

FrontOptions inside_tls(std::string learned = {}) {
  FrontOptions options = test::inside_tls();
  options.learned = std::move(learned);
  return options;
}
FrontOptions with(std::initializer_list<Mechanism> mechanisms) {
  FrontOptions options = inside_tls();
  options.means.mechanisms = Mechanisms();
  for (const Mechanism mechanism : mechanisms)
    options.means.mechanisms.add(mechanism);
  return options;
}
FrontOptions from_webmail() {
  FrontOptions options = inside_tls();
  options.may_name_address = true;
  return options;
}

const std::string noop = "+OK Nothing done\r\n";
const std::string user = "+OK Now the password\r\n";
const std::string in = "+OK Logged in\r\n<relay >";
const std::string wrong = "-ERR [AUTH] Wrong user name or password\r\n";
const std::string no_clear = "-ERR Start TLS first; passwords do not cross this connection in clear\r\n";
const std::string unknown = "-ERR Unknown command\r\n";
const std::string not_base64 = "-ERR That is not base64\r\n";
const std::string not_offered = "-ERR That is not offered here\r\n";
const std::string relay_joe = "<LOGIN joe secret>+OK Logged in\r\n<relay >";
const std::string capa_tail = "RESP-CODES\r\nAUTH-RESP-CODE\r\nIMPLEMENTATION Postern\r\n";

class Pop3FrontConversation : public testing::TestWithParam<Conversation> {};

TEST_P(Pop3FrontConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut(GetParam());
}

const Conversation small_talk[] = {
    {"Capa", "CAPA\r\n",
     "+OK This works here\r\nUSER\r\nSASL PLAIN LOGIN\r\n"s + capa_tail + "PIPELINING\r\nTOP\r\nUIDL\r\n.\r\n"},
    {"CapaInClear", "CAPA\r\n", "+OK This works here\r\nSTLS\r\n"s + capa_tail + "PIPELINING\r\nTOP\r\nUIDL\r\n.\r\n",
     in_clear()},
    {"CapaOfWhatWasLearned", "CAPA\r\n",
     "+OK This works here\r\nUSER\r\nSASL PLAIN LOGIN\r\n"s + capa_tail +
         "PIPELINING\r\nTOP\r\nEXPIRE 60\r\nUTF8 USER\r\nX-NEW a b\r\n.\r\n",
     inside_tls("TOP\nEXPIRE 60\nPIPELINING\nUTF8 USER\nSASL EXTERNAL\nSTLS\nUSER\nAPOP\nLANG\nXCLIENT\nX-NEW a b\n"
                "IMPLEMENTATION Other\nAUTH-RESP-CODE\nRESP-CODES\n.\n\nX\x01Y")},
    {"CapaWithoutPipelining", "CAPA\r\n",
     "+OK This works here\r\nUSER\r\nSASL PLAIN LOGIN\r\n"s + capa_tail + "UIDL\r\n.\r\n", inside_tls("UIDL")},
    {"CapaWithoutUser", "CAPA\r\n",
     "+OK This works here\r\nSASL OAUTHBEARER XOAUTH2\r\n"s + capa_tail + "PIPELINING\r\nTOP\r\nUIDL\r\n.\r\n",
     with({Mechanism::OAuthBearer, Mechanism::XOAuth2})},
    {"CapaWithoutSasl", "CAPA\r\n",
     "+OK This works here\r\nUSER\r\n"s + capa_tail + "PIPELINING\r\nTOP\r\nUIDL\r\n.\r\n", with({Mechanism::Login})},
    {"CapaWithArgument", "CAPA me\r\n", "-ERR CAPA takes no argument\r\n"},
    {"AnyCaseAndBareLineFeed", "noop\nUsEr joe\npAsS secret\n", noop + user + relay_joe},
    {"BlankBehindCommand", "NOOP  \r\n", noop},
    {"ManyNoopsAreNoErrors", times(50, "NOOP\r\n"), times(50, noop)},
    {"Quit", "QUIT\r\nNOOP\r\n", "+OK Until next time\r\n<goodbye 0>"},
    {"QuitBehindUser", "USER joe\r\nQUIT\r\n", user + "+OK Until next time\r\n<goodbye 0>"s, inside_tls(), nobody_asks},
    {"MailboxBeforeLogin", "STAT\r\nlist 1\r\nRETR 1\r\nDELE 1\r\nRSET\r\nTOP 1 0\r\nUIDL\r\n" + times(20, "STAT\r\n"),
     times(27, "-ERR Log in first\r\n")},
    {"NotOffered", "APOP joe 0123456789abcdef\r\nLANG\r\nLANG de\r\nUTF8\r\n", times(4, not_offered),
     inside_tls("TOP")},
    {"Utf8", "UTF8\r\nUTF8 x\r\n", "+OK UTF-8 from now on\r\n-ERR UTF8 takes no argument\r\n", inside_tls("TOP\nutf8")},
};
INSTANTIATE_TEST_SUITE_P(SmallTalk, Pop3FrontConversation, testing::ValuesIn(small_talk));

const Conversation passwords[] = {
    {"UserAndPass", "USER joe\r\nPASS secret\r\n", user + relay_joe},
    {"BlanksInPassword", "USER joe@example.test\r\nPASS my  secret \r\n",
     user + "<LOGIN joe@example.test my  secret >"s + in},
    {"BlanksAroundEverything", "USER  joe b \r\nPASS  secret \r\n", user + "<LOGIN  joe b   secret >"s + in},
    {"EightBits", "USER j\xc3\xb6\r\nPASS s\xe9\"\\%{3}\x01\r\n", user + "<LOGIN j\xc3\xb6 s\xe9\"\\%{3}\x01>"s + in},
    {"SecondUserCounts", "USER ann\r\nUSER joe\r\nPASS secret\r\n", user + user + relay_joe},
    {"SmallTalkBetween", "USER joe\r\nNOOP\r\nPASS secret\r\n", user + noop + relay_joe},
    {"Pipelined", "USER joe@example.test\r\nPASS secret\r\nSTAT\r\nQUIT\r\n",
     user + "<LOGIN joe@example.test secret>+OK Logged in\r\n<relay STAT\r\nQUIT\r\n>"s},
    {"PipelinedBehindRefusal", "USER joe\r\nPASS x\r\nNOOP\r\nUSER joe\r\nPASS y\r\nQUIT\r\n",
     user + "<LOGIN joe x>"s + wrong + noop + user + "<LOGIN joe y>" + wrong + "+OK Until next time\r\n<goodbye 0>",
     inside_tls(), refuse},
    {"PassBeforeUser", "PASS secret\r\nQUIT\r\n", "-ERR Say USER first\r\n+OK Until next time\r\n<goodbye 0>",
     inside_tls(), nobody_asks},
    {"PassTwice", "USER joe\r\nPASS x\r\nPASS y\r\n", user + "<LOGIN joe x>"s + wrong + "-ERR Say USER first\r\n",
     inside_tls(), refuse},
    {"PassBehindCancelledAuth", "USER joe\r\nAUTH PLAIN\r\n*\r\nPASS x\r\n",
     user + "+ \r\n-ERR Authentication cancelled\r\n-ERR Say USER first\r\n"s, inside_tls(), nobody_asks},
    {"UserWithoutName", "USER\r\nUSER \r\nUSER   \r\nPASS x\r\n",
     times(3, "-ERR USER takes a name\r\n") + "-ERR Say USER first\r\n", inside_tls(), nobody_asks},
    {"EmptyPassword", "USER joe\r\nPASS\r\nUSER joe\r\nPASS \r\nNOOP\r\n", times(2, user + wrong) + noop, inside_tls(),
     nobody_asks},
    {"PasswordOfOneBlank", "USER joe\r\nPASS  \r\n", user + "<LOGIN joe  >"s + in},
    {"NulInPassword", "USER joe\r\nPASS a\0b\r\nUSER j\0e\r\nNOOP\r\n"s,
     user + times(2, "-ERR That is no command\r\n") + noop, inside_tls(), nobody_asks},
    {"ReturnInPassword", "USER joe\r\nPASS a\rDELE 1\r\nPASS a\r\r\nNOOP\r\n",
     user + times(2, "-ERR That is no command\r\n") + noop, inside_tls(), nobody_asks},
    {"InClear",
     "USER joe@example.test\r\nPASS secret\r\nAUTH PLAIN AGpvZUBleGFtcGxlLnRlc3QAc2VjcmV0\r\nAUTH CRAM-MD5\r\nNOOP\r\n",
     times(4, no_clear) + noop, in_clear(), nobody_asks},
    {"InClearOften", times(20, "PASS secret\r\n"), times(5, no_clear) + "<goodbye 2>", in_clear(), nobody_asks},
    {"Disabled", "USER joe\r\nPASS secret\r\n", times(2, "-ERR USER and PASS are disabled here; use AUTH\r\n"),
     with({Mechanism::Plain}), nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Passwords, Pop3FrontConversation, testing::ValuesIn(passwords));

std::string long_credentials() {
  return sasl::base64_encode("\0"s + times(242, "u") + "@example.test\0"s + times(255, "p"));
}

// AGpvZQBzZWNyZXQ= is NUL joe NUL secret; am9lAGpvZQBzZWNyZXQ= has both identities. AGpvZQBzZWNyZXQNCkRFTEUgMQ== ends
// in a line break and "DELE 1".
const Conversation authentications[] = {
    {"PlainInOneLine", "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nSTAT\r\n",
     "<PLAIN joe secret>+OK Logged in\r\n<relay STAT\r\n>"},
    {"PlainInTwo", "auth plain\r\nAGpvZQBzZWNyZXQ=\r\n", "+ \r\n<PLAIN joe secret>"s + in},
    {"PlainWithBlankBehind", "AUTH PLAIN \r\nAGpvZQBzZWNyZXQ=\r\n", "+ \r\n<PLAIN joe secret>"s + in},
    {"PlainSameIdentityTwice", "AUTH PLAIN am9lAGpvZQBzZWNyZXQ=\r\n", "<PLAIN joe secret>"s + in},
    {"PlainForSomeoneElse", "AUTH PLAIN YW5uAGpvZQBzZWNyZXQ=\r\n", "<PLAIN joe as ann secret>"s + in},
    {"PlainWithLongCredentials", "AUTH PLAIN\r\n" + long_credentials() + "\r\n",
     "+ \r\n<PLAIN " + times(242, "u") + "@example.test " + times(255, "p") + ">" + in},
    {"PlainWithLineBreakInPassword", "AUTH PLAIN AGpvZQBzZWNyZXQNCkRFTEUgMQ==\r\n",
     "<PLAIN joe secret\r\nDELE 1>"s + in},
    {"Login", "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n<LOGIN joe secret>"s + in},
    {"LoginWithName", "AUTH LOGIN am9l\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\n<LOGIN joe secret>"s + in},
    {"LoginWithoutPassword", "AUTH LOGIN am9l\r\n\r\n", "+ UGFzc3dvcmQ6\r\n"s + wrong, inside_tls(), nobody_asks},
    {"CancelledThenUser", "auth plain\r\n*\r\nUSER joe@example.test\r\n",
     "+ \r\n-ERR Authentication cancelled\r\n"s + user, inside_tls(), nobody_asks},
    {"CancellingIsNoError", times(20, "AUTH PLAIN\r\n*\r\n"), times(20, "+ \r\n-ERR Authentication cancelled\r\n")},
    {"BadBase64ThenQuit", "AUTH PLAIN .\r\nQUIT\r\n", not_base64 + "+OK Until next time\r\n<goodbye 0>"s, inside_tls(),
     nobody_asks},
    {"BadBase64",
     "AUTH PLAIN =AAA\r\nAUTH PLAIN AAA=BBB\r\nAUTH PLAIN\r\nAAA\r\nAUTH PLAIN *\r\nAUTH PLAIN AAAA AAAA\r\n",
     times(2, not_base64) + "+ \r\n" + times(3, not_base64), inside_tls(), nobody_asks},
    {"PlainMalformed", "AUTH PLAIN =\r\nAUTH PLAIN am9l\r\n", times(2, "-ERR That is not what the mechanism says\r\n"),
     inside_tls(), nobody_asks},
    {"PlainWithoutPassword", "AUTH PLAIN AGpvZQA=\r\n", wrong, inside_tls(), nobody_asks},
    {"External", "AUTH EXTERNAL =\r\n", "<EXTERNAL  >"s + in, with({Mechanism::External})},
    {"Token", "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n\r\nNOOP\r\n",
     "<XOAUTH2 joe token>+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n"s + wrong + noop, with({Mechanism::XOAuth2}),
     refuse},
    {"TokenWithNul",
     "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG8Aa2VuAQE=\r\nAUTH XOAUTH2 "
     "dXNlcj1qAGUBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n"
     "AUTH OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgdG8Aa2VuAQE=\r\n",
     times(3, "-ERR That is not what the mechanism says\r\n"), with({Mechanism::XOAuth2, Mechanism::OAuthBearer}),
     nobody_asks},
    {"OtherMechanism", "AUTH CRAM-MD5\r\nAUTH APOP x\r\nAUTH EXTERNAL =\r\n",
     times(3, "-ERR That mechanism is not offered\r\n"), inside_tls(), nobody_asks},
    {"List", times(20, "AUTH\r\n") + "AUTH \r\n", times(21, "+OK These are the mechanisms\r\nPLAIN\r\nLOGIN\r\n.\r\n")},
    {"ListInClear", "AUTH\r\n", "+OK These are the mechanisms\r\n.\r\n", in_clear()},
};
INSTANTIATE_TEST_SUITE_P(Auth, Pop3FrontConversation, testing::ValuesIn(authentications));

const Conversation stls[] = {
    {"Stls", "STLS\r\n", "+OK Begin the TLS handshake\r\n<tls>", in_clear()},
    {"StlsForgetsWhatFollows", "STLS\r\nUSER joe\r\nPASS secret\r\n", "+OK Begin the TLS handshake\r\n<tls>",
     in_clear(), nobody_asks},
    {"StlsTwice", "STLS\r\n", "-ERR TLS is active already\r\n"},
    {"StlsNotOffered", "STLS\r\n", "-ERR STLS is not offered here\r\n", FrontOptions{}},
    {"StlsWithArgument", "STLS now\r\n", "-ERR STLS takes no argument\r\n", in_clear()},
};
INSTANTIATE_TEST_SUITE_P(Stls, Pop3FrontConversation, testing::ValuesIn(stls));

const Conversation nonsense[] = {
    {"EmptyLine", "\r\nQUIT\r\n", "-ERR A command is missing\r\n+OK Until next time\r\n<goodbye 0>"},
    {"BlankLine", "  \r\n NOOP\r\nNOOP\r\n", times(2, "-ERR A command is missing\r\n") + noop},
    {"UnknownCommand", "FOO\r\nEHLO x\r\n* OK\r\nUSERjoe\r\n", times(4, unknown)},
    {"XclientFromAnybody", "XCLIENT ADDR=192.0.2.7\r\n", unknown},
    // The last answer is the last word: another one would be the answer to nothing.
    {"TooManyBadCommands", times(200, "FOO\r\n"), times(10, unknown) + "<goodbye 1>"},
    {"TooManyEmptyLines", times(200, "\r\n"), times(10, "-ERR A command is missing\r\n") + "<goodbye 1>"},
    {"TooManyRefusals", times(20, "USER joe\r\nPASS x\r\n"), times(5, user + "<LOGIN joe x>"s + wrong) + "<goodbye 2>",
     inside_tls(), refuse},
    {"TooManyEmptyPasswords", times(20, "USER joe\r\nPASS\r\n"), times(5, user + wrong) + "<goodbye 2>", inside_tls(),
     nobody_asks},
    {"HttpRequest", "GET / HTTP/1.1\r\nHost: mail.example.test\r\n\r\n", "<goodbye 4>"},
    {"HttpPostOfCommands", "POST / HTTP/1.1\r\n\r\nUSER joe\r\nPASS secret\r\n", "<goodbye 4>", inside_tls(),
     nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Nonsense, Pop3FrontConversation, testing::ValuesIn(nonsense));

const Conversation sizes[] = {
    {"LongLine", "PASS " + times(70000, "x"), "-ERR That is too long\r\n<goodbye 3>"},
    {"LineBeyondTheOption", "PASS " + times(8188, "x") + "\r\nNOOP\r\n", "-ERR That is too long\r\n<goodbye 3>"},
    {"LongestLine", "USER " + times(8187, "u") + "\r\nPASS " + times(8187, "p") + "\r\n",
     user + ("<LOGIN " + times(8187, "u") + " " + times(8187, "p") + ">" + in)},
    {"LongestInitialResponse", "AUTH PLAIN " + times(12288, "A") + "\r\nNOOP\r\n",
     "-ERR That is not what the mechanism says\r\n"s + noop},
    {"LongInitialResponse", "AUTH PLAIN " + times(12400, "A"), "-ERR That is too long\r\n<goodbye 3>"},
    {"LongSaslLine", "AUTH PLAIN\r\n" + times(12289, "A"), "+ \r\n-ERR That is too long\r\n<goodbye 3>"},
    {"LongestSaslLine", "AUTH PLAIN\r\n" + times(12288, "A") + "\r\nNOOP\r\n",
     "+ \r\n-ERR That is not what the mechanism says\r\n"s + noop},
};
INSTANTIATE_TEST_SUITE_P(Sizes, Pop3FrontConversation, testing::ValuesIn(sizes));

// What the mail program hears of each verdict.
TEST(Pop3Front, SaysEachRefusalInItsWords) {
  const std::pair<Refusal, std::string> spoken[] = {
      {{RefusalCause::Credentials}, wrong},
      {{RefusalCause::Unavailable},
       "-ERR [SYS/TEMP] Your login cannot be served right now; please try again later\r\n"},
      {{RefusalCause::Unavailable, {}, "back at noon"}, "-ERR [SYS/TEMP] back at noon\r\n"},
      {{RefusalCause::NotAllowed}, "-ERR [SYS/PERM] You may not log in here\r\n"},
      {{RefusalCause::Limit}, "-ERR [IN-USE] Too many sessions of this user\r\n"},
      {{RefusalCause::Passed, "IN-USE", "locked"}, "-ERR [IN-USE] locked\r\n"},
      {{RefusalCause::Passed, "LOGIN-DELAY", ""}, "-ERR [LOGIN-DELAY] The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "", "no"}, "-ERR no\r\n"},
      {{RefusalCause::Passed, "", ""}, "-ERR The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "", "[AUTH] x"}, "-ERR The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "X]\r\n+OK", "a\r\n+OK"}, "-ERR a+OK\r\n"},
      {{RefusalCause::Passed, "IN-USE", times(600, "x")}, "-ERR [IN-USE] " + times(496, "x") + "\r\n"},
  };
  for (const auto& [refusal, answer] : spoken) {
    Play play(inside_tls(), [verdict = Answer(refusal)](const Credentials&) { return verdict; });
    play.feed("USER joe\r\nPASS x\r\n");
    EXPECT_EQ(play.transcript(), user + ("<LOGIN joe x>" + answer));
  }
}

TEST(Pop3Front, PassesTheMailServersWelcome) {
  const std::pair<const char*, std::string> spoken[] = {
      {"2 messages (320 octets)", "+OK 2 messages (320 octets)\r\n<relay >"},
      {"", in},
      {"[AUTH] Welcome", in},
      {"a\r\n+OK b", "+OK a+OK b\r\n<relay >"},
  };
  for (const auto& [text, answer] : spoken) {
    Play play(inside_tls(), [text = text](const Credentials&) { return Accepted{.text = text}; });
    play.feed("USER joe\r\nPASS x\r\n");
    EXPECT_EQ(play.transcript(), user + ("<LOGIN joe x>"s + answer));
  }
}

TEST(Pop3Front, GreetsOnce) {
  EXPECT_EQ(Front(inside_tls()).greeting(), "+OK mail.example.test Postern ready\r\n");
  EXPECT_EQ(Front(FrontOptions{}).greeting(), "+OK Postern ready\r\n");
  EXPECT_EQ(Front(from_webmail()).greeting(), "+OK [XCLIENT] mail.example.test Postern ready\r\n");
  FrontOptions after = inside_tls();
  after.after_starttls = true;
  EXPECT_EQ(Front(after).greeting(), "");
  EXPECT_EQ(Front(inside_tls()).bye("Shutting\r\ndown"), "-ERR [SYS/TEMP] Shuttingdown\r\n");
}

// UTF8 was said to us, and it is the mail server that must do it.
TEST(Pop3Front, TellsWhetherUtf8WasSaid) {
  Play play(inside_tls("UTF8"), accept);
  protocol::BackIdentity identity;
  play.front().describe(identity);
  EXPECT_FALSE(identity.utf8);
  play.feed("UTF8\r\nUSER joe\r\nPASS secret\r\n");
  play.front().describe(identity);
  EXPECT_TRUE(identity.utf8);
}

TEST(Pop3Front, BelievesAWebmailHostsXclient) {
  Play play(from_webmail(), accept);
  const protocol::FrontSaid& said = play.front().heard();
  play.feed("XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=9f2c TTL=300 DESTNAME=x\r\n");
  EXPECT_EQ(said.address, "2001:db8::7");
  EXPECT_EQ(said.port, 4711);
  EXPECT_EQ(said.session_id, "9f2c");
  EXPECT_EQ(said.hops_left, 255);
  play.feed("XCLIENT PORT=70000\r\nXCLIENT TTL=\r\nXCLIENT PORT=1x ADDR=x\r\nXCLIENT\r\nXCLIENT ADDR\r\n");
  EXPECT_EQ(play.transcript(),
            "+OK Noted\r\n" + times(3, "-ERR That attribute is not understood\r\n") + times(2, "+OK Noted\r\n"));
  EXPECT_EQ(said.address, "");
  EXPECT_EQ(said.port, 4711);
}

// Bytes before STLS came from anybody. The Front counts them for the log and forgets them, also what comes later.
TEST(Pop3Front, CountsWhatWasInjectedBehindStls) {
  Front front(in_clear());
  front.feed("STLS\r\nNOOP\r\n");
  const protocol::FrontEvent event = front.next();
  ASSERT_TRUE(std::holds_alternative<protocol::StartTls>(event));
  EXPECT_EQ(std::get<protocol::StartTls>(event).dropped, 6u);
  front.feed("NOOP\r\n");
  EXPECT_TRUE(std::holds_alternative<protocol::NeedBytes>(front.next()));
  EXPECT_EQ(front.take_unread(), "");
}

TEST(Pop3Front, IsSmall) {
  EXPECT_LE(sizeof(Front), 800u);
}

}  // namespace
}  // namespace postern::pop3
