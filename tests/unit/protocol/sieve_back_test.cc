// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of sieve::Back with mail servers of all kinds. The mail server's side is fed as one text: a Back takes
// it line by line, whether it waits for our commands or not, so the transcript is the same in every cut.
#include "protocol/sieve/back.h"

#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::sieve {
namespace {

using protocol::BackTlsPlan;
using protocol::Mechanism;
using test::login_of;
using test::times;
using Play = test::BackPlay<Back>;
using std::string_literals::operator""s;

struct Who {
  std::string user = "joe";
  std::string password = "secret";
  std::string master;
  std::optional<Mechanism> mechanism;
  bool probe = false;
};

using Conversation = test::BackTalk<Who>;

class SieveBackConversation : public testing::TestWithParam<Conversation> {};

TEST_P(SieveBackConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut<Back>(GetParam(), {});
}

std::string greeting(std::string_view mechanisms) {
  return "\"IMPLEMENTATION\" \"Other Pigeonhole\"\r\n\"SIEVE\" \"fileinto reject\"\r\n\"SASL\" \"" +
         std::string(mechanisms) + "\"\r\n\"VERSION\" \"1.0\"\r\nOK \"ready\"\r\n";
}
const std::string hello = greeting("PLAIN LOGIN");

// AGpvZQBzZWNyZXQ= is NUL joe NUL secret; am9lAHJvb3QAc2VjcmV0 is joe NUL root NUL secret.
const std::string login_joe = "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n";
const std::string login_root = "AUTHENTICATE \"PLAIN\" \"am9lAHJvb3QAc2VjcmV0\"\r\n";
const std::string in = "<in [] in><relay >";

const Conversation ways_in[] = {
    {"Plain", hello + "OK \"in\"\r\n", login_joe + in},
    {"BareLineFeedAndAnyCase", "\"sasl\" \"plain\"\nok\nok \"in\"\n", login_joe + in},
    {"OkWithoutText", hello + "OK\r\n", login_joe + "<in [] ><relay >"},
    {"OkWithTextWithoutQuotes", hello + "OK Logged in.\r\n", login_joe + "<in [] Logged in.><relay >"},
    {"OkWithLiteral", hello + "OK {8}\r\nwel\r\ncom\r\nmore", login_joe + "<in [] welcom><relay more>"},
    {"OkWithSasl", hello + "OK (SASL \"dj1h\\\")\") \"in\"\r\n", login_joe + in},
    {"OkWithSaslInLiteral", hello + "OK (SASL {3}\r\na)b) \"in\"\r\n", login_joe + in},
    {"OkWithNestedCode", hello + "OK (X-Y (1 (2 \")\")) \"z\") \"in\"\r\n", login_joe + in},
    {"ListAsLiterals", "{4}\r\nSASL {5}\r\nPLAIN\r\nOK\r\nOK \"in\"\r\n", login_joe + in},
    {"CapabilitiesBehindOk", hello + "OK \"in\"\r\n\"SIEVE\" \"fileinto\"\r\nOK\r\n",
     login_joe + "<in [] in><relay \"SIEVE\" \"fileinto\"\r\nOK\r\n>"},
    {"OddCapabilitiesDoNotMatter", "\"IMPL\r\n\"X\" \"a\" \"b\"\r\n\"X\" y\r\n\"\" \"\"\r\n" + hello + "OK \"in\"\r\n",
     login_joe + in},
    {"Master", hello + "OK \"in\"\r\n", login_root + in, {.master = "root"}},
    {"MasterOfHimself", hello + "OK \"in\"\r\n", login_joe + in, {.master = "joe"}},
    {"MasterWhateverTheRouteSays",
     hello + "OK \"in\"\r\n",
     login_root + in,
     {.master = "root", .mechanism = Mechanism::SaslLogin}},
    // The message grows to 1,024 octets of base64, which quotes hold, and to 1,028.
    {"LongPassword",
     hello + "OK \"in\"\r\n",
     "AUTHENTICATE \"PLAIN\" \"AGpvZQBw" + times(254, "cHBw") + "\"\r\n" + in,
     {.password = times(763, "p")}},
    {"LongerPassword",
     hello + "OK \"in\"\r\n",
     "AUTHENTICATE \"PLAIN\" {1028+}\r\nAGpvZQBw" + times(255, "cHBw") + "\r\n" + in,
     {.password = times(766, "p")}},
    {"LoginOnly", greeting("CRAM-MD5 LOGIN") + "\"VXNlcm5hbWU6\"\r\n{12}\r\nUGFzc3dvcmQ6\r\nOK \"in\"\r\n",
     "AUTHENTICATE \"LOGIN\"\r\n\"am9l\"\r\n\"c2VjcmV0\"\r\n" + in},
    {"LoginByRoute",
     hello + "\"VXNlcm5hbWU6\"\r\n\"UGFzc3dvcmQ6\"\r\nOK \"in\"\r\n",
     "AUTHENTICATE \"LOGIN\"\r\n\"am9l\"\r\n\"c2VjcmV0\"\r\n" + in,
     {.mechanism = Mechanism::Login}},
    {"OAuthBearer",
     greeting("PLAIN OAUTHBEARER XOAUTH2") + "OK \"in\"\r\n",
     "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n" + in,
     {.password = "tok", .mechanism = Mechanism::OAuthBearer}},
    {"OAuthBearerIsRefused",
     greeting("OAUTHBEARER") + "\"eyJzdGF0dXMiOiI0MDEifQ==\"\r\nNO \"no\"\r\n",
     "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"AQ==\"\r\n<refused 0 [] >",
     {.password = "tok", .mechanism = Mechanism::OAuthBearer}},
    {"OAuthBearerIsRefusedAtOnce",
     greeting("OAUTHBEARER") + "NO \"no\"\r\n",
     "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n<refused 0 [] >",
     {.password = "tok", .mechanism = Mechanism::OAuthBearer}},
    {"XOAuth2IsRefused",
     greeting("XOAUTH2") + "\"eyJzdGF0dXMiOiI0MDEifQ==\"\r\nNO (TRYLATER) \"later\"\r\n",
     "AUTHENTICATE \"XOAUTH2\" \"dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"\"\r\n<refused 4 [TRYLATER] later maybe>",
     {.password = "tok", .mechanism = Mechanism::XOAuth2}},
    {"External",
     greeting("EXTERNAL") + "OK \"in\"\r\n",
     "AUTHENTICATE \"EXTERNAL\" \"am9l\"\r\n" + in,
     {.password = "", .mechanism = Mechanism::External}},
    {"ExternalWithoutName",
     greeting("EXTERNAL") + "OK \"in\"\r\n",
     "AUTHENTICATE \"EXTERNAL\" \"\"\r\n" + in,
     {.user = "", .password = "", .mechanism = Mechanism::External}},
};
INSTANTIATE_TEST_SUITE_P(WaysIn, SieveBackConversation, testing::ValuesIn(ways_in));

// The numbers are RefusalCause's: 0 Credentials, 1 Unavailable, 4 Passed.
const Conversation refusals[] = {
    {"Bare", hello + "NO \"user joe is unknown\"\r\n", login_joe + "<refused 0 [] >"},
    {"WithoutAnything", hello + "no\r\n", login_joe + "<refused 0 [] >"},
    {"InLiteral", hello + "NO {9}\r\nOK\r\nBYE\r\n\r\n", login_joe + "<refused 0 [] >"},
    {"TryLater", hello + "NO (TRYLATER) \"disk \\\"a\\\"\"\r\n", login_joe + "<refused 4 [TRYLATER] disk \"a\" maybe>"},
    {"Quota", hello + "NO (QUOTA/MAXSCRIPTS) \"full\"\r\n", login_joe + "<refused 4 [QUOTA/MAXSCRIPTS] full>"},
    {"Transition", hello + "NO (TRANSITION-NEEDED) \"once in clear\"\r\n",
     login_joe + "<refused 4 [TRANSITION-NEEDED] once in clear>"},
    {"TextInLiteral", hello + "NO (X-WHY \"42\" 7) {6}\r\na\r\nb\r\n\r\n", login_joe + "<refused 4 [X-WHY] ab>"},
    {"OddCode", hello + "NO (\x01) \"no\"\r\n", login_joe + "<refused 0 [] >"},
    {"LongCode", hello + "NO (" + times(65, "X") + ") \"no\"\r\n", login_joe + "<refused 4 [] no>"},
    {"Referral", hello + "NO (REFERRAL \"sieve://other.example.test\") \"go\"\r\n",
     login_joe + "<refused 1 [] go maybe>"},
    {"ReferralInBye", hello + "BYE (referral \"sieve://other.example.test\") {2}\r\ngo\r\n",
     login_joe + "<refused 1 [] go maybe>"},
    {"TextHoldsThePassword", hello + "NO (QUOTA) \"PLAIN joe secret\"\r\n", login_joe + "<refused 4 [QUOTA] >"},
    {"TextHoldsThePasswordBetweenControls",
     hello + "NO (QUOTA) \"se\x01"
             "cret\"\r\n",
     login_joe + "<refused 4 [QUOTA] >"},
    {"TextHoldsTheMessage", hello + "NO (QUOTA) \"AGpvZQBzZWNyZXQ=\"\r\n", login_joe + "<refused 4 [QUOTA] >"},
    {"CodeIsThePassword", hello + "NO (secret) \"no\"\r\n", login_joe + "<refused 4 [] no>"},
    {"TextHoldsThePasswordAsLoginSentIt", greeting("LOGIN") + "\"\"\r\n\"\"\r\nNO (QUOTA) \"got c2VjcmV0\"\r\n",
     "AUTHENTICATE \"LOGIN\"\r\n\"am9l\"\r\n\"c2VjcmV0\"\r\n<refused 4 [QUOTA] >"},
    {"TextHoldsAPasswordWithEscapes",
     hello + "NO (QUOTA) \"a\\\\\\\"b\"\r\n",
     "AUTHENTICATE \"PLAIN\" \"AGpvZQBhXCJi\"\r\n<refused 4 [QUOTA] >",
     {.password = "a\\\"b"}},
    {"NothingIsReadBehindIt", hello + "NO\r\nBYE\r\nOK\r\n", login_joe + "<refused 0 [] >"},
};
INSTANTIATE_TEST_SUITE_P(Refusals, SieveBackConversation, testing::ValuesIn(refusals));

constexpr char bad_greeting[] = "<failed garbage: the greeting is not ManageSieve's>";
const std::string no_answer = "<failed garbage: the answer to the login is not ManageSieve's>";

const Conversation failures[] = {
    {"GreetingBye", "BYE \"full\"\r\n", "<failed bye: the mail server said BYE before the end of its greeting>"},
    {"GreetingByeBehindList", "\"SASL\" \"PLAIN\"\r\nBYE (TRYLATER)\r\n",
     "<failed bye: the mail server said BYE before the end of its greeting>"},
    {"GreetingNo", "NO (TRYLATER) \"busy\"\r\n",
     "<failed bye: the mail server said NO where it should say what it can do>"},
    {"GreetingOfImap", "* OK hello\r\n", bad_greeting},
    {"GreetingOfPop3", "+OK ready\r\n", bad_greeting},
    {"GreetingOfSmtp", "220 mail.example.test ESMTP\r\n", bad_greeting},
    {"GreetingIsEmpty", "\r\n", bad_greeting},
    {"ByeDuringLogin", hello + "BYE \"internal error\"\r\n",
     login_joe + "<failed bye: the mail server said BYE before its answer to the login>"},
    {"ByeWithReferral", "BYE (REFERRAL \"sieve://other.example.test\") \"go\"\r\n",
     "<failed bye: the mail server said BYE before the end of its greeting>"},
    {"EncryptNeeded", hello + "NO (ENCRYPT-NEEDED) \"x\"\r\n",
     login_joe + "<failed no-tls: the mail server wants TLS for a login; set tls for its pool>"},
    {"AuthTooWeak", hello + "NO (auth-too-weak) \"x\"\r\n",
     login_joe +
         "<failed no-tls: the mail server finds PLAIN too weak here; set tls for its pool, or another mechanism "
         "for the route>"},
    {"GarbageAnswer", hello + "\x16\x03\x01\r\n", login_joe + no_answer},
    {"AnswerWithTag", hello + "a1 OK in\r\n", login_joe + no_answer},
    {"AnswerWithBrokenCode", hello + "NO (TRYLATER \"x\r\n", login_joe + no_answer},
    {"AnswerWithOpenCode", hello + "OK (SASL \"x\"\r\n", login_joe + no_answer},
    {"ListInsteadOfAnswer", hello + "\"SIEVE\" \"fileinto\"\r\n", login_joe + no_answer},
    {"ChallengeTooMany", hello + "\"\"\r\n",
     login_joe + "<failed garbage: the mail server asks to go on where nothing is left to say>"},
    {"NoMechanisms", "OK \"ready\"\r\n", "<failed no-mechanism: the mail server offers neither PLAIN nor LOGIN>"},
    {"OtherMechanisms", greeting("GSSAPI PLAINS"),
     "<failed no-mechanism: the mail server offers neither PLAIN nor LOGIN>"},
    {"EmptyListBesideStartTls", "\"SASL\" \"\"\r\n\"STARTTLS\"\r\nOK\r\n",
     "<failed no-tls: the mail server wants TLS for a login; set tls for its pool>"},
    {"MasterWithoutPlain",
     greeting("LOGIN"),
     "<failed no-mechanism: the mail server does not offer PLAIN, which a master user needs>",
     {.master = "root"}},
    {"TokenIsNotOffered",
     hello,
     "<failed no-mechanism: the mail server does not offer XOAUTH2, which this login needs>",
     {.mechanism = Mechanism::XOAuth2}},
    {"ScramCannotBePassedOn",
     greeting("SCRAM-SHA-256"),
     "<failed no-mechanism: SCRAM leaves nothing that could be passed on to the mail server>",
     {.mechanism = Mechanism::ScramSha256}},
    {"Nul",
     hello,
     "<failed no-mechanism: ManageSieve cannot carry a name or a password with NUL in it>",
     {.password = "a\0b"s}},
    {"EndlessLine", "\"" + std::string(9000, 'x'), "<failed too-much: a line is longer than a login can need>"},
    {"EndlessLines", times(201, "\"X\"\r\n"), "<failed too-much: there is more to read than a login can need>"},
    {"HugeLiteral", "\"SIEVE\" {8193}\r\n", "<failed too-much: a line is longer than a login can need>"},
    {"LiteralCountOverflows", "\"SIEVE\" {18446744073709551622}\r\n",
     "<failed too-much: a line is longer than a login can need>"},
};
INSTANTIATE_TEST_SUITE_P(Failures, SieveBackConversation, testing::ValuesIn(failures));

const Conversation probes[] = {
    {"Probe",
     hello + "OK \"bye\"\r\n",
     "LOGOUT\r\n<learned \"IMPLEMENTATION\" \"Other Pigeonhole\"\n\"SIEVE\" \"fileinto reject\"\n"
     "\"SASL\" \"PLAIN LOGIN\"\n\"VERSION\" \"1.0\">",
     {.probe = true}},
    {"ProbeOfLiterals",
     "\"SIEVE\" {12}\r\nfileinto \"x\"\r\n{6}\r\nNOTIFY {6}\r\nmailto\r\n\"X\" {3}\r\na\r\n\r\n\"STARTTLS\"\r\nOK\r\n",
     "LOGOUT\r\n<learned \"SIEVE\" \"fileinto \\\"x\\\"\"\n\"NOTIFY\" \"mailto\"\n\"STARTTLS\">",
     {.probe = true}},
    {"ProbeOfNothing", "OK\r\n", "LOGOUT\r\n<learned >", {.probe = true}},
    {"ProbeOfBusyServer",
     "BYE \"busy\"\r\n",
     "<failed bye: the mail server said BYE before the end of its greeting>",
     {.probe = true}},
};
INSTANTIATE_TEST_SUITE_P(Probes, SieveBackConversation, testing::ValuesIn(probes));

// What was said in clear may have been anybody's words: the list inside TLS alone counts, and comes before we speak.
TEST(SieveBack, StartsTlsAndReadsTheListAgain) {
  const std::string inside = "\"SASL\" \"LOGIN\"\r\nOK \"TLS is up\"\r\n\"\"\r\n\"\"\r\nOK \"in\"\r\n";
  for (const auto& pieces : test::all_cuts(inside)) {
    Play play(login_of(Who{}), {}, BackTlsPlan::StartTls);
    play.feed("\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\n");
    play.feed("OK \"begin\"\r\n");
    ASSERT_EQ(play.transcript(), "STARTTLS\r\n<tls>");
    play.back().tls_started();
    for (const std::string_view piece : pieces)
      play.feed(piece);
    ASSERT_EQ(play.transcript(),
              "STARTTLS\r\n<tls>AUTHENTICATE \"LOGIN\"\r\n\"am9l\"\r\n\"c2VjcmV0\"\r\n<in [] in><relay >");
  }
}

// Nor do the mechanisms of the clear list stay where the list inside TLS has none.
TEST(SieveBack, ForgetsTheMechanismsInClear) {
  Play play(login_of(Who{}), {}, BackTlsPlan::StartTls);
  play.feed("\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\nOK\r\n");
  play.back().tls_started();
  play.feed("OK\r\n");
  EXPECT_EQ(play.transcript(),
            "STARTTLS\r\n<tls><failed no-mechanism: the mail server offers neither PLAIN nor LOGIN>");
}

TEST(SieveBack, LearnsInsideTls) {
  Play play({.probe = true}, {}, BackTlsPlan::StartTls);
  play.feed("\"SIEVE\" \"injected\"\r\n\"STARTTLS\"\r\nOK\r\nOK\r\n");
  play.back().tls_started();
  play.feed("");
  EXPECT_EQ(play.transcript(), "STARTTLS\r\n<tls>");
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its capabilities inside TLS");
  play.feed("\"SIEVE\" \"fileinto\"\r\nOK\r\n");
  EXPECT_EQ(play.transcript(), "STARTTLS\r\n<tls>LOGOUT\r\n<learned \"SIEVE\" \"fileinto\">");
}

TEST(SieveBack, TakesNothingInClearBehindStartTls) {
  const std::string injected = "<failed no-tls: bytes came in clear where the TLS handshake should begin>";
  Play glued(login_of(Who{}), {}, BackTlsPlan::StartTls);
  glued.feed("\"STARTTLS\"\r\nOK\r\nOK\r\n\"SASL\" \"PLAIN\"\r\n");
  EXPECT_EQ(glued.transcript(), "STARTTLS\r\n" + injected);
  Play later(login_of(Who{}), {}, BackTlsPlan::StartTls);
  later.feed("\"STARTTLS\"\r\nOK\r\nOK\r\n");
  later.feed("\"");
  EXPECT_EQ(later.transcript(), "STARTTLS\r\n<tls>" + injected);
}

TEST(SieveBack, SendsNoPasswordWithoutTheTlsThatIsWanted) {
  const std::pair<std::string, const char*> servers[] = {
      {hello, "<failed no-tls: the mail server does not offer STARTTLS, which its pool wants>"},
      {"\"STARTTLS\"\r\n" + hello + "NO \"not now\"\r\n",
       "STARTTLS\r\n<failed no-tls: the mail server refuses STARTTLS, which its pool wants>"},
      {"\"STARTTLS\"\r\n" + hello + "\"what\"\r\n",
       "STARTTLS\r\n<failed garbage: the answer to STARTTLS is not ManageSieve's>"},
      {"\"STARTTLS\"\r\n" + hello + "BYE\r\n",
       "STARTTLS\r\n<failed bye: the mail server said BYE before its answer to STARTTLS>"},
  };
  for (const auto& [server, transcript] : servers) {
    for (const auto& pieces : test::all_cuts(server)) {
      Play play(login_of(Who{}), {}, BackTlsPlan::StartTls);
      for (const std::string_view piece : pieces)
        play.feed(piece);
      EXPECT_EQ(play.transcript(), transcript);
    }
  }
}

TEST(SieveBack, SaysWhereTheConnectionEnded) {
  Play play(login_of(Who{}), {}, BackTlsPlan::None);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before the end of its greeting");
  play.feed(hello);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its answer to the login");
  EXPECT_EQ(play.back().closed().failure, protocol::BackFailure::Closed);
}

// What comes after LoggedIn belongs to the mail program, also when it comes in pieces.
TEST(SieveBack, KeepsWhatFollowsTheLogin) {
  Play play(login_of(Who{}), {}, BackTlsPlan::None);
  play.feed(hello + "OK \"in\"\r\n\"SIEVE");
  play.feed("\" \"\"\r\n");
  EXPECT_EQ(play.transcript(), login_joe + "<in [] in><relay \"SIEVE\" \"\"\r\n>");
}

}  // namespace
}  // namespace postern::sieve
