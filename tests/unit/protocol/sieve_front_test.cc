// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of a mail program with sieve::Front, each in every cut: what is said back, and what is asked of whom.
#include "protocol/sieve/front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::sieve {
namespace {

using protocol::Accepted;
using protocol::Credentials;
using protocol::FrontOptions;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;
using test::Answer;
using test::in_clear;
using test::inside_tls;
using test::nobody_asks;
using test::refuse;
using test::times;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Conversation = test::FrontTalk<Front>;
using Play = test::FrontPlay<Front>;
using std::string_literals::operator""s;

FrontOptions with_tokens() {
  FrontOptions options = inside_tls();
  options.means.mechanisms.add(Mechanism::OAuthBearer);
  options.means.mechanisms.add(Mechanism::XOAuth2);
  options.means.mechanisms.add(Mechanism::External);
  return options;
}

constexpr char relay_joe[] = "<PLAIN joe secret>OK \"Logged in\"\r\n<relay >";
constexpr char wrong[] = "NO \"Wrong user name or password\"\r\n";
constexpr char no_base64[] = "NO \"That is not a string of base64\"\r\n";
constexpr char malformed[] = "NO \"That is not what the mechanism says\"\r\n";
constexpr char log_in_first[] = "NO \"Log in first\"\r\n";
constexpr char nothing_done[] = "OK \"Nothing done\"\r\n";
constexpr char too_long[] = "BYE \"That is too long\"\r\n<goodbye 3>";
constexpr char in_clear_no[] =
    "NO (ENCRYPT-NEEDED) \"Start TLS first; passwords do not cross this connection in clear\"\r\n";
constexpr char list_inside_tls[] =
    "\"IMPLEMENTATION\" \"Postern\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n\"SIEVE\" \"\"\r\n\"VERSION\" \"1.0\"\r\n";
constexpr char list_in_clear[] =
    "\"IMPLEMENTATION\" \"Postern\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\n\"SIEVE\" \"\"\r\n\"VERSION\" \"1.0\"\r\n";

class SieveFrontConversation : public testing::TestWithParam<Conversation> {};

TEST_P(SieveFrontConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut(GetParam());
}

const Conversation any_state[] = {
    {"Capability", "CAPABILITY\r\n", list_inside_tls + "OK \"That is all before login\"\r\n"s},
    {"CapabilityInClear", "CAPABILITY\r\n", list_in_clear + "OK \"That is all before login\"\r\n"s, in_clear()},
    {"CapabilityWithArgument", "CAPABILITY now\r\n", "NO \"CAPABILITY takes no argument\"\r\n"},
    {"Noop", "NOOP\r\n", nothing_done},
    {"NoopWithTag", "NOOP \"STARTTLS-SYNC-42\"\r\n", "OK (TAG \"STARTTLS-SYNC-42\") \"Nothing done\"\r\n"},
    {"NoopWithEscapes",
     R"(NOOP "a\"b\\")"
     "\r\n",
     R"(OK (TAG "a\"b\\") "Nothing done")"
     "\r\n"},
    {"NoopWithLiteral", "NOOP {3+}\r\na)\"\r\n", "OK (TAG \"a)\\\"\") \"Nothing done\"\r\n"},
    {"NoopWithLongTag", "NOOP {1024+}\r\n" + times(1024, "t") + "\r\nNOOP {1025+}\r\n" + times(1025, "t") + "\r\n",
     "OK (TAG \"" + times(1024, "t") + "\") \"Nothing done\"\r\nNO \"NOOP takes a string of one line\"\r\n"},
    {"NoopWithTagThatGrowsInQuotes", "NOOP {1024+}\r\n" + times(1024, "\"") + "\r\n",
     "OK (TAG {1024}\r\n" + times(1024, "\"") + ") \"Nothing done\"\r\n"},
    {"NoopWithLines", "NOOP {5+}\r\na\r\nOK\r\n", "NO \"NOOP takes a string of one line\"\r\n"},
    {"NoopWithAtom", "NOOP tag\r\nNOOP \"a\" \"b\"\r\nNOOP \"a\r\nNOOP \"\\a\"\r\n",
     times(4, "NO \"NOOP takes a string or nothing\"\r\n")},
    {"AnyCaseAndBareLineFeed", "noop\ncapability\nauthenticate \"plain\" {16+}\nAGpvZQBzZWNyZXQ=\n",
     nothing_done + std::string(list_inside_tls) + "OK \"That is all before login\"\r\n" + relay_joe},
    {"BlankBehindCommand", "NOOP \r\nCAPABILITY \r\nNOOP \"x\" \r\n",
     nothing_done + std::string(list_inside_tls) +
         "OK \"That is all before login\"\r\nOK (TAG \"x\") \"Nothing done\"\r\n"},
    {"ManyNoopsAreNoErrors", times(50, "NOOP\r\n"), times(50, nothing_done)},
    {"Logout", "LOGOUT\r\nNOOP\r\n", "OK \"Until next time\"\r\n<goodbye 0>"},
    {"LogoutWithArgument", "LOGOUT now\r\n", "NO \"LOGOUT takes no argument\"\r\n"},
    {"CommandsOfUsers",
     "HAVESPACE \"x\" 99\r\nlistscripts\r\nSETACTIVE \"\"\r\nGETSCRIPT \"x\"\r\nDELETESCRIPT \"x\"\r\n"
     "RENAMESCRIPT \"x\" \"y\"\r\nUNAUTHENTICATE\r\nPUTSCRIPT \"x\" \"keep;\"\r\nCHECKSCRIPT \"keep;\"\r\n"
     "LISTSCRIPTS\r\nLISTSCRIPTS\r\nLISTSCRIPTS\r\nNOOP\r\n",
     times(12, log_in_first) + nothing_done},
    {"ScriptIsNotReadAsCommands", "PUTSCRIPT \"x\" {16+}\r\nLOGOUT\r\nSTARTTLS\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"ScriptThatShouldWaitIsNoCommandEither", "PUTSCRIPT \"x\" {16}\r\nLOGOUT\r\nSTARTTLS\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"ScriptsNameAsLiteral", "PUTSCRIPT {6+}\r\nLOGOUT {8+}\r\nLOGOUT\r\n\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
};
INSTANTIATE_TEST_SUITE_P(AnyState, SieveFrontConversation, testing::ValuesIn(any_state));

// AGpvZQBzZWNyZXQ= is NUL joe NUL secret; YW5uAGpvZQBzZWNyZXQ= has ann in front.
const Conversation authentications[] = {
    {"PlainAtOnce", "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n", relay_joe},
    {"PlainAtOnceInLiteral", "AUTHENTICATE \"PLAIN\" {16+}\r\nAGpvZQBzZWNyZXQ=\r\n", relay_joe},
    {"PlainAtOnceInLiteralThatShouldWait", "AUTHENTICATE \"PLAIN\" {16}\r\nAGpvZQBzZWNyZXQ=\r\n", relay_joe},
    {"MechanismAsLiteral", "AUTHENTICATE {5+}\r\nPLAIN \"AGpvZQBzZWNyZXQ=\"\r\n", relay_joe},
    {"Plain", "AUTHENTICATE \"PLAIN\"\r\n\"AGpvZQBzZWNyZXQ=\"\r\n", "\"\"\r\n"s + relay_joe},
    {"PlainInLiteral", "AUTHENTICATE \"PLAIN\"\r\n{16+}\r\nAGpvZQBzZWNyZXQ=\r\n", "\"\"\r\n"s + relay_joe},
    {"PlainForSomeoneElse", "AUTHENTICATE \"PLAIN\" \"YW5uAGpvZQBzZWNyZXQ=\"\r\n",
     "<PLAIN joe as ann secret>OK \"Logged in\"\r\n<relay >"},
    {"PipelinedBehind", "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\nLISTSCRIPTS\r\n",
     "<PLAIN joe secret>OK \"Logged in\"\r\n<relay LISTSCRIPTS\r\n>"},
    {"PipelinedBehindLiteral", "AUTHENTICATE \"PLAIN\" {16+}\r\nAGpvZQBzZWNyZXQ=\r\nPUTSCRIPT \"x\" {3+}\r\nab",
     "<PLAIN joe secret>OK \"Logged in\"\r\n<relay PUTSCRIPT \"x\" {3+}\r\nab>"},
    // sieve-authenticate-quoted: both forms, and a mechanism that nobody has.
    {"OtherMechanismThenLiteral",
     "authenticate \"FOO\"\r\nAUTHENTICATE \"PLAIN\" {48+}\r\nAGpvZUBleGFtcGxlLnRlc3QAc2VjcmV0c2VjcmV0MTIzNA==\r\n",
     "NO \"That mechanism is not offered\"\r\n"
     "<PLAIN joe@example.test secretsecret1234>OK \"Logged in\"\r\n<relay >"},
    {"OtherMechanismThenQuoted",
     "authenticate \"FOO\"\r\nAUTHENTICATE \"PLAIN\" \"AGpvZUBleGFtcGxlLnRlc3QAc2VjcmV0c2VjcmV0MTIzNA==\"\r\n",
     "NO \"That mechanism is not offered\"\r\n"
     "<PLAIN joe@example.test secretsecret1234>OK \"Logged in\"\r\n<relay >"},
    {"Login", "AUTHENTICATE \"LOGIN\"\r\n\"am9l\"\r\n\"c2VjcmV0\"\r\n",
     "\"VXNlcm5hbWU6\"\r\n\"UGFzc3dvcmQ6\"\r\n<LOGIN joe secret>OK \"Logged in\"\r\n<relay >"},
    {"LoginWithName", "AUTHENTICATE \"login\" \"am9l\"\r\n{8+}\r\nc2VjcmV0\r\n",
     "\"UGFzc3dvcmQ6\"\r\n<LOGIN joe secret>OK \"Logged in\"\r\n<relay >"},
    {"Cancelled", "AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\nAUTHENTICATE \"LOGIN\" \"am9l\"\r\n{1+}\r\n*\r\nNOOP\r\n",
     "\"\"\r\nNO \"Authentication cancelled\"\r\n\"UGFzc3dvcmQ6\"\r\nNO \"Authentication cancelled\"\r\n"s +
         nothing_done,
     inside_tls(), nobody_asks},
    {"ManyCancelsAreNoErrors", times(20, "AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\n"),
     times(20, "\"\"\r\nNO \"Authentication cancelled\"\r\n"), inside_tls(), nobody_asks},
    {"BadBase64",
     "AUTHENTICATE \"PLAIN\" \"=AAA\"\r\nAUTHENTICATE \"PLAIN\"\r\n\"AAA\"\r\n"
     "AUTHENTICATE \"PLAIN\" \"A\\\\A\\\"\"\r\nAUTHENTICATE \"PLAIN\" \"*\"\r\n",
     no_base64 + "\"\"\r\n"s + no_base64 + no_base64 + no_base64, inside_tls(), nobody_asks},
    // What has no quotes is no string, even if it is base64.
    {"AnswerWithoutQuotes",
     "AUTHENTICATE \"PLAIN\"\r\nAGpvZQBzZWNyZXQ=\r\nAUTHENTICATE \"PLAIN\"\r\n\r\nAUTHENTICATE \"PLAIN\"\r\n*\r\n"
     "AUTHENTICATE \"PLAIN\"\r\n\"AAAA\" \"AAAA\"\r\nAUTHENTICATE \"PLAIN\"\r\n\"AAAA\r\nNOOP\r\n",
     times(5, "\"\"\r\n"s + no_base64) + nothing_done, inside_tls(), nobody_asks},
    {"Malformed",
     "AUTHENTICATE \"PLAIN\" \"\"\r\nAUTHENTICATE \"PLAIN\" \"am9l\"\r\nAUTHENTICATE \"PLAIN\"\r\n\"\"\r\n",
     malformed + std::string(malformed) + "\"\"\r\n" + malformed, inside_tls(), nobody_asks},
    {"WithoutPassword", "AUTHENTICATE \"PLAIN\" \"AGpvZQA=\"\r\n", wrong, inside_tls(), nobody_asks},
    {"NotTheGrammar",
     "AUTHENTICATE\r\nAUTHENTICATE PLAIN\r\nAUTHENTICATE \"PLAIN\" AGpvZQBzZWNyZXQ=\r\n"
     "AUTHENTICATE \"PLAIN\"\"AGpvZQBzZWNyZXQ=\"\r\nAUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\" \"\"\r\n"
     "AUTHENTICATE \"PLAIN\" {3+}\r\nAGpvZQBzZWNyZXQ=\r\nAUTHENTICATE \"PL\0AIN\"\r\n"s,
     times(2, "NO \"AUTHENTICATE takes the name of a mechanism, a string\"\r\n") +
         times(4, "NO \"AUTHENTICATE takes the name of a mechanism and a string\"\r\n") +
         "NO \"AUTHENTICATE takes the name of a mechanism, a string\"\r\n",
     inside_tls(), nobody_asks},
    {"RefusedAndAgain", "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\nNOOP\r\n",
     "<PLAIN joe secret>"s + wrong + nothing_done, inside_tls(), refuse},
    {"InClear",
     "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\nAUTHENTICATE \"PLAIN\" {16+}\r\nAGpvZQBzZWNyZXQ=\r\nNOOP\r\n",
     in_clear_no + std::string(in_clear_no) + nothing_done, in_clear(), nobody_asks},
    {"InClearTooOften", times(6, "AUTHENTICATE \"PLAIN\"\r\n"),
     times(5, in_clear_no) + "BYE \"Too many refused logins\"\r\n<goodbye 2>", in_clear(), nobody_asks},
    // bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE= is n,a=joe,^Aauth=Bearer tok^A^A.
    {"Token", "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n",
     "<OAUTHBEARER joe tok>OK \"Logged in\"\r\n<relay >", with_tokens()},
    {"TokenIsRefusedInTwoSteps",
     "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"AQ==\"\r\nNOOP\r\n",
     "<OAUTHBEARER joe tok>\"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\"\r\n"s + wrong + nothing_done, with_tokens(),
     refuse},
    {"TokenIsRefusedAndTheAnswerIsNoString",
     "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\r\nNOOP\r\n",
     "<OAUTHBEARER joe tok>\"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\"\r\n"s + wrong + nothing_done, with_tokens(),
     refuse},
    {"External", "AUTHENTICATE \"EXTERNAL\" \"\"\r\n", "<EXTERNAL  >OK \"Logged in\"\r\n<relay >", with_tokens()},
    {"ExternalInTwo", "AUTHENTICATE \"EXTERNAL\"\r\n\"YW5u\"\r\n",
     "\"\"\r\n<EXTERNAL  as ann >OK \"Logged in\"\r\n<relay >", with_tokens()},
};
INSTANTIATE_TEST_SUITE_P(Authenticate, SieveFrontConversation, testing::ValuesIn(authentications));

const Conversation starttls[] = {
    {"StartTls", "starttls\r\n", "OK \"Begin the TLS handshake\"\r\n<tls>", in_clear()},
    {"StartTlsForgetsWhatFollows", "STARTTLS\r\nAUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n",
     "OK \"Begin the TLS handshake\"\r\n<tls>", in_clear(), nobody_asks},
    {"StartTlsTwice", "STARTTLS\r\n", "NO \"TLS is active already\"\r\n"},
    {"StartTlsNotOffered", "STARTTLS\r\n", "NO \"STARTTLS is not offered here\"\r\n", FrontOptions{}},
    {"StartTlsWithArgument", "STARTTLS now\r\n", "NO \"STARTTLS takes no argument\"\r\n", in_clear()},
};
INSTANTIATE_TEST_SUITE_P(StartTls, SieveFrontConversation, testing::ValuesIn(starttls));

const Conversation nonsense[] = {
    {"EmptyLine", "\r\n \r\nNOOP\r\n", times(2, "NO \"A command is missing\"\r\n") + nothing_done},
    {"UnknownCommand", "FOOBAR\r\na1 NOOP\r\nNOOP\0\r\n"s, times(3, "NO \"Unknown command\"\r\n")},
    {"TooManyBadCommands", times(200, "FOO\r\n"),
     times(10, "NO \"Unknown command\"\r\n") + "BYE \"Too many bad commands\"\r\n<goodbye 1>"},
    {"TooManyRefusals", times(20, "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n"),
     times(5, "<PLAIN joe secret>"s + wrong) + "BYE \"Too many refused logins\"\r\n<goodbye 2>", inside_tls(), refuse},
    {"TooManyEmptyPasswords", times(20, "AUTHENTICATE \"PLAIN\" \"AGpvZQA=\"\r\n"),
     times(5, wrong) + "BYE \"Too many refused logins\"\r\n<goodbye 2>", inside_tls(), nobody_asks},
    {"HttpRequest", "GET / HTTP/1.1\r\nHost: mail.example.test\r\n" + times(30, "X-Field: y\r\n"), "<goodbye 4>"},
    {"HttpPostOfCommands", "POST / HTTP/1.1\r\n\r\nAUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n", "<goodbye 4>",
     inside_tls(), nobody_asks},
    {"UnknownCommandsLiteral", "FOOBAR {8+}\r\nLOGOUT\r\n\r\nNOOP\r\n", "NO \"Unknown command\"\r\n"s + nothing_done},
    {"UnknownCommandsWaitingLiteral", "FOOBAR {8}\r\nLOGOUT\r\n\r\nNOOP\r\n",
     "NO \"Unknown command\"\r\n"s + nothing_done},
    {"BraceInsideQuotesIsNoLiteral", "NOOP \"{8+}\"\r\nNOOP\r\n",
     "OK (TAG \"{8+}\") \"Nothing done\"\r\n"s + nothing_done},
};
INSTANTIATE_TEST_SUITE_P(Nonsense, SieveFrontConversation, testing::ValuesIn(nonsense));

const Conversation sizes[] = {
    {"LongLine", "NOOP " + times(8188, " ") + "\r\n", too_long},
    {"LongestLine", "NOOP" + times(8188, " ") + "\r\n", nothing_done},
    {"LargestLiteral", "PUTSCRIPT \"x\" {12288+}\r\n" + times(12288, "\n") + "\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"BigScriptIsSwallowed", "PUTSCRIPT \"x\" {12290+}\r\n" + times(1229, "LOGOUT\r\n\n\n") + "\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"BigScriptThatShouldWaitIsSwallowed",
     "PUTSCRIPT \"x\" {12290}\r\n" + times(1229, "LOGOUT\r\n\n\n") + "\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"LiteralsBehindSwallowed",
     "PUTSCRIPT {12290+}\r\n" + times(1229, "LOGOUT\r\n\n\n") + " {8}\r\nLOGOUT\r\n {8+}\r\nLOGOUT\r\n\r\nNOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"BigScriptsAreNoErrors", times(12, "CHECKSCRIPT {12289+}\r\n" + times(12289, "x") + "\r\n") + "NOOP\r\n",
     times(12, log_in_first) + nothing_done},
    {"BigLiteralIsSwallowed", "NOOP {12290+}\r\n" + times(1229, "LOGOUT\r\n\n\n") + "\r\nNOOP\r\n",
     "NO \"That string is too long\"\r\n"s + nothing_done},
    {"TooManyBigLiterals", times(11, "FOO {12289+}\r\n" + times(12289, "x") + "\r\n"),
     times(10, "NO \"That string is too long\"\r\n") + "BYE \"Too many bad commands\"\r\n<goodbye 1>"},
    {"HugeScript", "PUTSCRIPT \"x\" {65537+}\r\nLOGOUT\r\n", too_long},
    {"LiteralCountOverflows", "PUTSCRIPT \"x\" {18446744073709551622+}\r\nLOGOUT\r\n", too_long},
    {"WaitingLiteralCountOverflows", "PUTSCRIPT \"x\" {18446744073709551622}\r\nLOGOUT\r\n", too_long},
    {"ManyBigLiterals", "PUTSCRIPT" + times(6, " {13000+}\r\n" + times(13000, "x")), too_long},
    {"LongSaslLine", "AUTHENTICATE \"PLAIN\"\r\n\"" + times(12304, "A"), "\"\"\r\n"s + too_long},
    {"LongestSaslLine", "AUTHENTICATE \"PLAIN\"\r\n\"" + times(12288, "A") + "\"\r\nNOOP\r\n",
     "\"\"\r\n"s + malformed + nothing_done},
    {"LongSaslLiteral", "AUTHENTICATE \"PLAIN\"\r\n{12289+}\r\n", "\"\"\r\n"s + too_long},
    {"LongestSaslLiteral", "AUTHENTICATE \"PLAIN\"\r\n{12288+}\r\n" + times(12288, "A") + "\r\nNOOP\r\n",
     "\"\"\r\n"s + malformed + nothing_done},
    {"LongestInitialResponse", "AUTHENTICATE \"PLAIN\" {12288+}\r\n" + times(12288, "A") + "\r\nNOOP\r\n",
     malformed + std::string(nothing_done)},
};
INSTANTIATE_TEST_SUITE_P(Sizes, SieveFrontConversation, testing::ValuesIn(sizes));

// What the mail program hears of each verdict.
TEST(SieveFront, SaysEachRefusalInItsWords) {
  const std::pair<Refusal, std::string> spoken[] = {
      {{RefusalCause::Credentials}, "NO \"Wrong user name or password\"\r\n"},
      {{RefusalCause::Credentials, {}, "ask again"}, "NO \"ask again\"\r\n"},
      {{RefusalCause::Unavailable},
       "NO (TRYLATER) \"Your login cannot be served right now; please try again later\"\r\n"},
      {{RefusalCause::Unavailable, {}, "back at \"noon\""}, "NO (TRYLATER) \"back at \\\"noon\\\"\"\r\n"},
      {{RefusalCause::NotAllowed}, "NO \"You may not log in here\"\r\n"},
      {{RefusalCause::Limit}, "NO (TRYLATER) \"Too many sessions of this user\"\r\n"},
      {{RefusalCause::Passed, "QUOTA/MAXSCRIPTS", "full"}, "NO (QUOTA/MAXSCRIPTS) \"full\"\r\n"},
      {{RefusalCause::Passed, "", "no"}, "NO \"no\"\r\n"},
      {{RefusalCause::Passed, "", ""}, "NO \"The mail server refuses this login\"\r\n"},
      {{RefusalCause::Passed, "X) \"\"\r\nBYE", "a\r\nBYE"}, "NO \"aBYE\"\r\n"},
  };
  for (const auto& [refusal, answer] : spoken) {
    Play play(inside_tls(), [verdict = Answer(refusal)](const Credentials&) { return verdict; });
    play.feed("AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n");
    EXPECT_EQ(play.transcript(), "<PLAIN joe secret>" + answer);
  }
}

TEST(SieveFront, WelcomesInTheMailServersWords) {
  Play play(inside_tls(), [](const Credentials&) { return Accepted{{}, "Hi \"joe\"\r\nNO", {}}; });
  play.feed("AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n");
  EXPECT_EQ(play.transcript(), "<PLAIN joe secret>OK \"Hi \\\"joe\\\"NO\"\r\n<relay >");
}

TEST(SieveFront, GreetsWithWhatIsTrueNow) {
  EXPECT_EQ(Front(inside_tls()).greeting(), list_inside_tls + "OK \"mail.example.test Postern ready\"\r\n"s);
  EXPECT_EQ(Front(in_clear()).greeting(), list_in_clear + "OK \"mail.example.test Postern ready\"\r\n"s);
  // An empty list of mechanisms would promise STARTTLS.
  EXPECT_EQ(Front(FrontOptions{}).greeting(),
            "\"IMPLEMENTATION\" \"Postern\"\r\n\"SIEVE\" \"\"\r\n\"VERSION\" \"1.0\"\r\nOK \"Postern ready\"\r\n");
  EXPECT_EQ(Front(inside_tls()).bye("Shutting\r\n\"down\""), "BYE \"Shutting\\\"down\\\"\"\r\n");
}

TEST(SieveFront, AnnouncesWhatTheMailServersCanDo) {
  FrontOptions options = inside_tls();
  options.learned =
      "\"IMPLEMENTATION\" \"Other\"\n\"SIEVE\" \"fileinto reject\"\n\"notify\" \"mailto\"\n\"SASL\" \"GSSAPI\"\n"
      "\"STARTTLS\"\n\"UNAUTHENTICATE\"\n\"OWNER\" \"joe\"\n\"XCLIENT\" \"ADDR\"\n\"LANGUAGE\" "
      "\"en\"\n\"MAXREDIRECTS\" "
      "\"5\"\n\"NOOP\"\nRUBBISH\n\"broken\n\"X\" \"a\" \"b\"\n\"\"\n\"VERSION\" \"2.0\"";
  EXPECT_EQ(
      Front(options).greeting(),
      "\"IMPLEMENTATION\" \"Postern\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n\"SIEVE\" \"fileinto reject\"\r\n"
      "\"notify\" \"mailto\"\r\n\"LANGUAGE\" \"en\"\r\n\"MAXREDIRECTS\" \"5\"\r\n\"NOOP\"\r\n\"VERSION\" \"2.0\"\r\n"
      "OK \"mail.example.test Postern ready\"\r\n");
}

// RFC 5804, section 4: quotes hold 1,024 octets at most. One capability must not become a flood either.
TEST(SieveFront, AnnouncesALongListAsLiteral) {
  FrontOptions options = inside_tls();
  options.learned = "\"SIEVE\" \"" + times(1025, "x") + "\"";
  EXPECT_THAT(Front(options).greeting(), HasSubstr("\"SIEVE\" {1025}\r\n" + times(1025, "x") + "\r\n"));
  options.learned = "\"SIEVE\" \"" + times(4097, "x") + "\"";
  EXPECT_THAT(Front(options).greeting(), HasSubstr("\"SIEVE\" \"\"\r\n"));
}

// sieve-starttls-restarts-capabilities: the list comes again, unasked, and what stood behind STARTTLS is not run.
TEST(SieveFront, GreetsAgainInsideTls) {
  Front clear(in_clear());
  EXPECT_THAT(clear.greeting(), HasSubstr("\"STARTTLS\""));
  EXPECT_THAT(clear.greeting(), Not(HasSubstr("PLAIN")));
  clear.feed("STARTTLS\r\nLOGOUT\r\n");
  const protocol::FrontEvent event = clear.next();
  ASSERT_TRUE(std::holds_alternative<protocol::StartTls>(event));
  EXPECT_THAT(std::get<protocol::StartTls>(event).reply, StartsWith("OK "));
  EXPECT_EQ(std::get<protocol::StartTls>(event).dropped, 8u);
  clear.feed("LOGOUT\r\n");
  EXPECT_TRUE(std::holds_alternative<protocol::NeedBytes>(clear.next()));
  EXPECT_EQ(clear.take_unread(), "");

  FrontOptions options = inside_tls();
  options.after_starttls = true;
  Front inside(options);
  EXPECT_EQ(inside.greeting(), list_inside_tls + "OK \"TLS is up\"\r\n"s);
  EXPECT_TRUE(std::holds_alternative<protocol::NeedBytes>(inside.next()));
}

TEST(SieveFront, IsSmall) {
  EXPECT_LE(sizeof(Front), 800u);
}

}  // namespace
}  // namespace postern::sieve
