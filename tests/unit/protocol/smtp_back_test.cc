// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of smtp::Back with mail servers of all kinds. The mail server's side is fed as one text: a Back takes
// it line by line, whether it waits for our commands or not, so the transcript is the same in every cut.
#include "protocol/smtp/back.h"

#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::smtp {
namespace {

using protocol::BackIdentity;
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
  // XCLIENT
  bool send = false;
  bool send_login = false;
  std::string address = "203.0.113.7";
  std::string helo = "client.example.test";
  bool helo_is_old = false;
};

BackIdentity identity_of(const Who& who) {
  return {.send = who.send,
          .send_login = who.send_login,
          .front_address = who.address,
          .front_port = 4711,
          .local_address = "192.0.2.1",
          .local_port = 465,
          .session_id = "9f2c",
          .helo = who.helo,
          .helo_is_old = who.helo_is_old,
          .hostname = "mail.example.test"};
}

using Conversation = test::BackTalk<Who>;

class SmtpBackConversation : public testing::TestWithParam<Conversation> {};

TEST_P(SmtpBackConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut<Back>(GetParam(), identity_of(GetParam().who));
}

const std::string greeting = "220 mx.example.test ESMTP\r\n";
const std::string hello = "EHLO client.example.test\r\n";
const std::string can_plain = "250-mx.example.test\r\n250 AUTH PLAIN LOGIN\r\n";
const std::string can_login = "250-mx.example.test\r\n250 AUTH LOGIN NTLM\r\n";
const std::string in = "235 2.7.0 welcome\r\n";
// NUL joe NUL secret.
const std::string plain_joe = "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n";
const std::string in_plain = "<in [AUTH PLAIN LOGIN] welcome><relay >";

const Conversation ways_in[] = {
    {"Plain", greeting + can_plain + in, hello + plain_joe + in_plain},
    {"BareLineFeed", "220 x\n250-x\n250 AUTH PLAIN LOGIN\n235 2.7.0 welcome\n", hello + plain_joe + in_plain},
    // Case smtp-back-multiline-replies.
    {"MultilineReplies",
     "220-mx.example.test\r\n220-no spam\r\n220 ready\r\n"
     "250-mx.example.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n"
     "235-2.7.0 welcome\r\n235 2.7.0 really\r\n",
     hello + plain_joe + "<in [PIPELINING\nAUTH PLAIN LOGIN\nHELP] welcome really><relay >"},
    {"CodesAlone", "220\r\n250-\r\n250 auth=plain\r\n235\r\n", hello + plain_joe + "<in [auth=plain] ><relay >"},
    {"BehindIt", greeting + can_plain + in + "421 4.3.2 soon\r\n",
     hello + plain_joe + "<in [AUTH PLAIN LOGIN] welcome><relay 421 4.3.2 soon\r\n>"},
    {"Login", greeting + can_login + "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" + in,
     hello + "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n<in [AUTH LOGIN NTLM] welcome><relay >"},
    {"LoginByRoute",
     greeting + can_plain + "334 x\r\n334\r\n" + in,
     hello + "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n" + in_plain,
     {.mechanism = Mechanism::SaslLogin}},
    {"PlainByRoute",
     greeting + can_login + in,
     hello + plain_joe + "<in [AUTH LOGIN NTLM] welcome><relay >",
     {.mechanism = Mechanism::Plain}},
    {"CommandByRoute", greeting + can_plain + in, hello + plain_joe + in_plain, {.mechanism = Mechanism::Login}},
    // am9lAHJvb3QAc2VjcmV0 is joe NUL root NUL secret.
    {"Master", greeting + can_plain + in, hello + "AUTH PLAIN am9lAHJvb3QAc2VjcmV0\r\n" + in_plain, {.master = "root"}},
    {"MasterOfHimself", greeting + can_plain + in, hello + plain_joe + in_plain, {.master = "joe"}},
    {"External",
     greeting + "250-x\r\n250 AUTH EXTERNAL\r\n" + in,
     hello + "AUTH EXTERNAL am9l\r\n<in [AUTH EXTERNAL] welcome><relay >",
     {.mechanism = Mechanism::External}},
    {"ExternalOfNobody",
     greeting + "250-x\r\n250 AUTH EXTERNAL\r\n" + in,
     hello + "AUTH EXTERNAL =\r\n<in [AUTH EXTERNAL] welcome><relay >",
     {.user = "", .mechanism = Mechanism::External}},
    {"Token",
     greeting + "250-x\r\n250 AUTH XOAUTH2\r\n" + in,
     hello + "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n<in [AUTH XOAUTH2] welcome><relay >",
     {.mechanism = Mechanism::XOAuth2}},
    // 498 octets of base64 make a line of 511, and 502 would be too many.
    {"LongestInOneLine",
     greeting + can_plain + in,
     hello + "AUTH PLAIN AGpvZQB0" + times(122, "dHR0") + "\r\n" + in_plain,
     {.password = std::string(367, 't')}},
    // Case smtp-back-long-credentials.
    {"LongCredentials",
     greeting + can_plain + "334 \r\n" + in,
     hello + "AUTH PLAIN\r\nAGpvZQB0" + times(200, "dHR0") + "\r\n" + in_plain,
     {.password = std::string(601, 't')}},
    {"FirstTooLong",
     greeting + can_plain + "334 \r\n" + in,
     hello + "AUTH PLAIN\r\nAGpvZQB0" + times(123, "dHR0") + "\r\n" + in_plain,
     {.password = std::string(370, 't')}},
    {"HelloWithoutAName", greeting + can_plain + in, "EHLO mail.example.test\r\n" + plain_joe + in_plain, {.helo = ""}},
    {"HelloWithABadName",
     greeting + can_plain + in,
     "EHLO mail.example.test\r\n" + plain_joe + in_plain,
     {.helo = "a\r\nMAIL"}},
    {"HeloBecomesEhlo", greeting + can_plain + in, hello + plain_joe + in_plain, {.helo_is_old = true}},
    {"Probe",
     greeting + "250-x\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250 DSN\r\n221 bye\r\n",
     "EHLO mail.example.test\r\nQUIT\r\n<learned SIZE 1000\nAUTH PLAIN\nDSN>",
     {.probe = true}},
    {"ProbeOfALittleOne", greeting + "250 x\r\n", "EHLO mail.example.test\r\nQUIT\r\n<learned >", {.probe = true}},
};
INSTANTIATE_TEST_SUITE_P(WaysIn, SmtpBackConversation, testing::ValuesIn(ways_in));

const std::string can_xclient = "250-x\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n250 AUTH PLAIN LOGIN\r\n";
const std::string can_all = "250-x\r\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT SESSION TTL\r\n";

const Conversation xclients[] = {
    // Case smtp-xclient-ipv6.
    {"Ipv6",
     greeting + can_xclient + greeting + can_plain + in,
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 ADDR=IPV6:2001:db8::7\r\n" + hello + plain_joe + in_plain,
     {.send = true, .address = "2001:db8::7"}},
    {"NotWanted", greeting + can_xclient + in,
     hello + plain_joe +
         "<in [XCLIENT NAME ADDR PORT PROTO HELO LOGIN\n"
         "AUTH PLAIN LOGIN] welcome><relay >"},
    {"NotOffered", greeting + can_plain + in, hello + plain_joe + in_plain, {.send = true}},
    {"OnlyWhatIsListed",
     greeting + "250-x\r\n250 xclient addr\r\n" + greeting + can_plain + in,
     hello + "XCLIENT ADDR=203.0.113.7\r\n" + hello + plain_joe + in_plain,
     {.send = true}},
    {"NothingListed",
     greeting + "250-x\r\n250-XCLIENT\r\n250 AUTH PLAIN\r\n" + in,
     hello + plain_joe + "<in [XCLIENT\nAUTH PLAIN] welcome><relay >",
     {.send = true}},
    {"AllListed",
     greeting + can_all + greeting + can_plain + in,
     hello +
         "XCLIENT NAME=[UNAVAILABLE] PORT=4711 DESTADDR=192.0.2.1 DESTPORT=465 SESSION=9f2c TTL=5 "
         "ADDR=203.0.113.7\r\n" +
         hello + plain_joe + in_plain,
     {.send = true}},
    {"AddressUnknown",
     greeting + can_xclient + greeting + can_plain + in,
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 ADDR=[UNAVAILABLE]\r\n" + hello + plain_joe + in_plain,
     {.send = true, .address = ""}},
    {"IsRefused",
     greeting + can_xclient + "550 5.7.0 no\r\n" + can_xclient + in,
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 ADDR=203.0.113.7\r\n" + hello + plain_joe +
         "<in [XCLIENT NAME ADDR PORT PROTO HELO LOGIN\nAUTH PLAIN LOGIN] welcome><relay >",
     {.send = true}},
    {"Login",
     greeting + can_xclient + greeting + can_plain,
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 LOGIN=joe ADDR=203.0.113.7\r\n" + hello +
         "<in [AUTH PLAIN LOGIN] ><relay >",
     {.send_login = true}},
    {"LoginInXtext",
     greeting + can_xclient + greeting + "250 x\r\n",
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 LOGIN=j+20+2B+3D+0D+0A+C3+B6 ADDR=203.0.113.7\r\n" + hello +
         "<in [] ><relay >",
     {.user = "j +=\r\n\xc3\xb6", .send_login = true}},
    {"LoginOfAnOldMailProgram",
     greeting + can_xclient + greeting + "250 x\r\n",
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 LOGIN=joe ADDR=203.0.113.7\r\nHELO client.example.test\r\n"
             "<in [] ><relay >",
     {.send_login = true, .helo_is_old = true}},
    // LOGIN and ADDR stay together, and last.
    {"LoginInTwoCommands",
     greeting + can_all + greeting + greeting + "250 x\r\n",
     hello +
         "XCLIENT NAME=[UNAVAILABLE] PORT=4711 DESTADDR=192.0.2.1 DESTPORT=465 SESSION=9f2c TTL=5\r\n"
         "XCLIENT LOGIN=" +
         std::string(450, 'j') + " ADDR=203.0.113.7\r\n" + hello + "<in [] ><relay >",
     {.user = std::string(450, 'j'), .send_login = true}},
    {"LoginTooLong",
     greeting + can_all,
     hello + "<failed no-mechanism: the user's name is too long for XCLIENT>",
     {.user = std::string(500, 'j'), .send_login = true}},
    {"LoginNotListed",
     greeting + "250-x\r\n250 XCLIENT ADDR\r\n",
     hello + "<failed no-mechanism: the mail server's XCLIENT does not take LOGIN, which its route wants>",
     {.send_login = true}},
    {"LoginNotOffered",
     greeting + can_plain,
     hello + "<failed no-mechanism: the mail server does not offer XCLIENT, which its route wants>",
     {.send_login = true}},
    {"LoginRefused",
     greeting + can_xclient + "550 5.7.0 no\r\n",
     hello + "XCLIENT NAME=[UNAVAILABLE] PORT=4711 LOGIN=joe ADDR=203.0.113.7\r\n"
             "<failed no-mechanism: the mail server refuses XCLIENT, which its route wants>",
     {.send_login = true}},
};
INSTANTIATE_TEST_SUITE_P(Xclient, SmtpBackConversation, testing::ValuesIn(xclients));

// The numbers are RefusalCause's: 0 Credentials, 4 Passed.
const Conversation refusals[] = {
    {"Credentials", greeting + can_plain + "535 5.7.8 user joe is unknown\r\n", hello + plain_joe + "<refused 0 [] >"},
    {"Temporary", greeting + can_plain + "454 4.7.0 directory is down\r\n",
     hello + plain_joe + "<refused 4 [454 4.7.0] directory is down maybe>"},
    {"TemporaryWithoutCode", greeting + can_plain + "451 later\r\n",
     hello + plain_joe + "<refused 4 [451 4.7.0] later maybe>"},
    {"OwnPasswordWanted", greeting + can_plain + "534-5.7.9 Use an application\r\n534 5.7.9 password, see\t x\r\n",
     hello + plain_joe + "<refused 4 [534 5.7.9] Use an application password, see x>"},
    {"Disabled", greeting + can_plain + "525 5.7.13 disabled\r\n",
     hello + plain_joe + "<refused 4 [525 5.7.13] disabled>"},
    {"CodesContradict", greeting + can_plain + "550 2.7.0 fine\r\n",
     hello + plain_joe + "<refused 4 [550 5.7.0] fine>"},
    {"TokenWithReason",
     greeting + "250-x\r\n250 AUTH XOAUTH2\r\n334 eyJ9\r\n535 5.7.8 no\r\n",
     hello + "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n<refused 0 [] >",
     {.mechanism = Mechanism::XOAuth2}},
    {"BearerWithReason",
     greeting + "250-x\r\n250 AUTH OAUTHBEARER\r\n334 eyJ9\r\n535 5.7.8 no\r\n",
     hello + "AUTH OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\nAQ==\r\n<refused 0 [] >",
     {.mechanism = Mechanism::OAuthBearer}},
    {"LongTokenWithReason",
     greeting + "250-x\r\n250 AUTH XOAUTH2\r\n334 \r\n334 eyJ9\r\n535 5.7.8 no\r\n",
     hello + "AUTH XOAUTH2\r\ndXNlcj1qb2UBYXV0aD1CZWFyZXIgdHR0" + times(199, "dHR0") + "AQE=\r\n\r\n<refused 0 [] >",
     {.password = std::string(600, 't'), .mechanism = Mechanism::XOAuth2}},
    {"TextHoldsThePassword", greeting + can_plain + "550 5.7.1 no secret here\r\n",
     hello + plain_joe + "<refused 4 [550 5.7.1] >"},
    {"TextHoldsItBetweenControls",
     greeting + can_plain +
         "550 5.7.1 se\x01"
         "cret\r\n",
     hello + plain_joe + "<refused 4 [550 5.7.1] >"},
    {"TextHoldsItInOneOfItsLines", greeting + can_plain + "550-5.7.1 AGpvZQBzZWNyZXQ=\r\n550 5.7.1 no\r\n",
     hello + plain_joe + "<refused 4 [550 5.7.1] no>"},
    {"TextHoldsItAcrossLines",
     greeting + can_plain + "550-5.7.1 my\r\n550 5.7.1 word\r\n",
     hello + "AUTH PLAIN AGpvZQBteSB3b3Jk\r\n<refused 4 [550 5.7.1] >",
     {.password = "my word"}},
    {"TextHoldsItAsLoginSaysIt", greeting + can_login + "334 \r\n334 \r\n550 5.7.1 c2VjcmV0?\r\n",
     hello + "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n<refused 4 [550 5.7.1] >"},
    {"WelcomeHoldsThePassword", greeting + can_plain + "235 2.7.0 joe secret\r\n",
     hello + plain_joe + "<in [AUTH PLAIN LOGIN] ><relay >"},
    {"NothingIsReadBehindIt", greeting + can_plain + "535 x\r\n235 in\r\n", hello + plain_joe + "<refused 0 [] >"},
};
INSTANTIATE_TEST_SUITE_P(Refusals, SmtpBackConversation, testing::ValuesIn(refusals));

constexpr char tls_wanted[] = "<failed no-tls: the mail server wants TLS for a login; set tls for its pool>";
constexpr char too_much[] = "<failed too-much: there is more to read than a login can need>";

const Conversation failures[] = {
    {"GreetingIsTemporary", "450 4.3.2 later\r\n", "<failed bye: the mail server turns us away with its greeting>"},
    {"GreetingIsFinal", "554-no\r\n554 5.7.1 no\r\n", "<failed bye: the mail server turns us away with its greeting>"},
    {"Greeting421", "421 4.3.2 full\r\n", "<failed bye: the mail server said 421 instead of its greeting>"},
    {"GreetingIsAnother", "250 hi\r\n", "<failed garbage: its greeting is not SMTP's>"},
    {"GreetingOfImap", "* OK hi\r\n", "<failed garbage: its greeting is not SMTP's>"},
    {"GreetingOfPop3", "+OK hi\r\n", "<failed garbage: its greeting is not SMTP's>"},
    {"GreetingIsEmpty", "\r\n", "<failed garbage: its greeting is not SMTP's>"},
    {"GreetingChangesItsMind", "220-hi\r\n554 no\r\n", "<failed garbage: its greeting is not SMTP's>"},
    {"HelloRefused", greeting + "502 5.5.1 what\r\n", hello + "<failed bad: the mail server refuses our EHLO>"},
    {"HelloRefusedForNow", greeting + "451 4.3.2 x\r\n", hello + "<failed bye: the mail server refuses our EHLO>"},
    {"ByeDuringLogin", greeting + can_plain + "421-4.3.2 x\r\n421 4.3.2 x\r\n",
     hello + plain_joe + "<failed bye: the mail server said 421 instead of its answer to the login>"},
    {"TlsWanted", greeting + can_plain + "530 5.7.0 Must issue a STARTTLS command first\r\n",
     hello + plain_joe + tls_wanted},
    {"EncryptionWanted", greeting + can_plain + "538 5.7.11 x\r\n", hello + plain_joe + tls_wanted},
    {"AuthHiddenWithoutTls", greeting + "250-x\r\n250 STARTTLS\r\n",
     hello + "<failed no-tls: the mail server offers no AUTH without TLS; set tls for its pool>"},
    {"NoAuthAtAll", greeting + "250 x\r\n",
     hello + "<failed no-mechanism: the mail server offers neither AUTH PLAIN nor AUTH LOGIN>"},
    {"OtherMechanismsOnly", greeting + "250-x\r\n250-STARTTLS\r\n250 AUTH GSSAPI NTLM\r\n",
     hello + "<failed no-mechanism: the mail server offers neither AUTH PLAIN nor AUTH LOGIN>"},
    {"MasterWithoutPlain",
     greeting + can_login,
     hello + "<failed no-mechanism: the mail server does not offer AUTH PLAIN, which a master user needs>",
     {.master = "root"}},
    {"MechanismUnknown",
     greeting + can_plain + "504 5.5.4 x\r\n",
     hello + "AUTH EXTERNAL am9l\r\n<failed no-mechanism: the mail server does not know AUTH EXTERNAL>",
     {.mechanism = Mechanism::External}},
    {"Bad", greeting + can_plain + "501 5.5.2 AUTH PLAIN secret?\r\n",
     hello + plain_joe + "<failed bad: the mail server does not understand the login>"},
    {"OtherSuccess", greeting + can_plain + "250 2.0.0 in\r\n",
     hello + plain_joe + "<failed garbage: the answer to the login is not SMTP's>"},
    {"AsksTooMuch", greeting + can_plain + "334 \r\n",
     hello + plain_joe + "<failed garbage: the mail server asks to go on where nothing is left to say>"},
    {"AsksTooMuchOfAToken",
     greeting + can_plain + "334 e\r\n334 e\r\n",
     hello + "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n"
             "<failed garbage: the mail server asks to go on where nothing is left to say>",
     {.mechanism = Mechanism::XOAuth2}},
    {"GarbageAnswer", greeting + can_plain + "\x16\x03\x01\r\n",
     hello + plain_joe + "<failed garbage: its answer to the login is not SMTP's>"},
    {"Nul",
     greeting + can_plain,
     hello + "<failed no-mechanism: AUTH cannot carry a name or a password with NUL in it>",
     {.password = "a\0b"s}},
    {"EndlessLine", std::string(9000, '2'), "<failed too-much: a line is longer than a login can need>"},
    // Case smtp-back-endless-reply.
    {"EndlessReply", times(1000, "220-x\r\n"), too_much},
    {"EndlessAnswer", greeting + can_plain + times(1000, "235-x\r\n"), hello + plain_joe + too_much},
};
INSTANTIATE_TEST_SUITE_P(Failures, SmtpBackConversation, testing::ValuesIn(failures));

// What was said in clear does not count: EHLO is said again, and its list is another.
TEST(SmtpBack, StartsTlsAndForgetsWhatWasSaidInClear) {
  Play play(login_of(Who{}), identity_of({}), BackTlsPlan::StartTls);
  play.feed(greeting + "250-x\r\n250-AUTH LOGIN\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n");
  play.feed("220 2.0.0 go\r\n");
  EXPECT_EQ(play.transcript(), hello + "STARTTLS\r\n<tls>");
  play.back().tls_started();
  play.feed("");
  play.feed(can_plain + in);
  EXPECT_EQ(play.transcript(), hello + "STARTTLS\r\n<tls>" + hello + plain_joe + in_plain);
}

TEST(SmtpBack, ProbesInsideTls) {
  Play play({.probe = true}, identity_of({}), BackTlsPlan::StartTls);
  play.feed(greeting + "250-x\r\n250-VRFY\r\n250 STARTTLS\r\n220 go\r\n");
  play.back().tls_started();
  play.feed("");
  play.feed("250-x\r\n250 SIZE 7\r\n");
  EXPECT_EQ(play.transcript(),
            "EHLO mail.example.test\r\nSTARTTLS\r\n<tls>EHLO mail.example.test\r\nQUIT\r\n<learned SIZE 7>");
}

TEST(SmtpBack, TakesNothingInClearBehindStartTls) {
  const std::string injected = "<failed no-tls: bytes came in clear where the TLS handshake should begin>";
  Play glued(login_of(Who{}), identity_of({}), BackTlsPlan::StartTls);
  glued.feed(greeting + "250-x\r\n250 STARTTLS\r\n220 go\r\n250 AUTH PLAIN\r\n");
  EXPECT_EQ(glued.transcript(), hello + "STARTTLS\r\n" + injected);
  Play later(login_of(Who{}), identity_of({}), BackTlsPlan::StartTls);
  later.feed(greeting + "250-x\r\n250 STARTTLS\r\n220 go\r\n");
  later.feed("2");
  EXPECT_EQ(later.transcript(), hello + "STARTTLS\r\n<tls>" + injected);
}

TEST(SmtpBack, SendsNoPasswordWithoutTheTlsThatIsWanted) {
  const std::pair<std::string, std::string> servers[] = {
      {can_plain, "<failed no-tls: the mail server does not offer STARTTLS, which its pool wants>"},
      {"250-x\r\n250 STARTTLS\r\n454 4.7.0 TLS not available\r\n",
       "STARTTLS\r\n<failed no-tls: the mail server refuses STARTTLS, which its pool wants>"},
      {"250-x\r\n250 STARTTLS\r\n250 ok\r\n",
       "STARTTLS\r\n<failed no-tls: the mail server refuses STARTTLS, which its pool wants>"},
  };
  for (const auto& [server, transcript] : servers) {
    Play play(login_of(Who{}), identity_of({}), BackTlsPlan::StartTls);
    play.feed(greeting + server);
    EXPECT_EQ(play.transcript(), hello + transcript);
  }
}

TEST(SmtpBack, SaysWhereTheConnectionEnded) {
  Play play(login_of(Who{}), identity_of({}), BackTlsPlan::None);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its greeting");
  play.feed(greeting);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its answer to EHLO");
}

}  // namespace
}  // namespace postern::smtp
