// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of a mail program with smtp::Front, each in every cut: what is said back, and what is asked of whom.
#include "protocol/smtp/front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::smtp {
namespace {

using protocol::Accepted;
using protocol::BackIdentity;
using protocol::Credentials;
using protocol::FrontOptions;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;
using test::accept;
using test::Answer;
using test::in_clear;
using test::inside_tls;
using test::nobody_asks;
using test::refuse;
using test::times;
using Conversation = test::FrontTalk<Front>;
using Play = test::FrontPlay<Front>;
using std::string_literals::operator""s;

FrontOptions webmail() {
  FrontOptions options = inside_tls();
  options.may_name_address = true;
  return options;
}
FrontOptions with_tokens() {
  FrontOptions options = inside_tls();
  options.means.mechanisms.add(Mechanism::OAuthBearer);
  options.means.mechanisms.add(Mechanism::XOAuth2);
  return options;
}

constexpr char ehlo[] = "EHLO client.example.test\r\n";
constexpr char list[] =
    "250-mail.example.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 ENHANCEDSTATUSCODES\r\n";
constexpr char list_in_clear[] =
    "250-mail.example.test\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n";
constexpr char list_of_webmail[] =
    "250-mail.example.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250-XCLIENT ADDR PORT\r\n"
    "250 ENHANCEDSTATUSCODES\r\n";
constexpr char in[] = "235 2.7.0 Logged in\r\n<relay >";
constexpr char log_in_first[] = "530 5.7.0 Log in first\r\n";
constexpr char tls_first[] = "530 5.7.0 Must issue a STARTTLS command first\r\n";
constexpr char nothing_done[] = "250 2.0.0 Nothing done\r\n";
constexpr char wrong[] = "535 5.7.8 Wrong user name or password\r\n";
constexpr char no_base64[] = "501 5.5.2 That is not base64\r\n";

// NUL joe@example.test NUL secret.
constexpr char plain_joe[] = "AGpvZUBleGFtcGxlLnRlc3QAc2VjcmV0";
constexpr char asked_joe[] = "<PLAIN joe@example.test secret>";

class SmtpFrontConversation : public testing::TestWithParam<Conversation> {};

TEST_P(SmtpFrontConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut(GetParam());
}

const Conversation hellos[] = {
    {"Ehlo", ehlo, list},
    // Case smtp-early-talker: the greeting is the caller's, whatever was fed before it; see GreetsFirst.
    {"EhloInClear", ehlo, list_in_clear, in_clear()},
    {"EhloInAnyCase", "ehlo client.example.test\r\n", list},
    {"EhloTwice", ehlo + "EHLO other\r\n"s, list + std::string(list)},
    {"EhloOfWebmail", ehlo, list_of_webmail, webmail()},
    {"EhloAddressLiteral", "EHLO [IPv6:2001:db8::7]\r\n", list},
    // Case smtp-ehlo-bad-argument.
    {"EhloBadArgument", "EHLO\r\nEHLO [IPv6:2001:db8::7]\r\n", "501 5.5.4 EHLO takes your name or address\r\n"s + list},
    {"EhloOddNames", "EHLO MY_PC\r\nEHLO  blanks.around \r\n", list + std::string(list)},
    {"EhloBlankInside", "EHLO a b\r\n", "501 5.5.4 EHLO takes your name or address\r\n"},
    {"EhloTabInside", "EHLO a\tb\r\n", "501 5.5.4 EHLO takes your name or address\r\n"},
    {"EhloControls", "EHLO a\0b\r\nEHLO a\rb\r\nHELO a\x7f\r\n"s,
     "501 5.5.4 EHLO takes your name or address\r\n501 5.5.4 EHLO takes your name or address\r\n"
     "501 5.5.4 HELO takes your name or address\r\n"},
    {"EhloTooLong", "EHLO " + times(256, "a") + "\r\n", "501 5.5.4 EHLO takes your name or address\r\n"},
    {"EhloLongest", "EHLO " + times(255, "a") + "\r\n", list},
    {"Helo", "HELO client.example.test\r\n", "250 mail.example.test\r\n"},
    {"HeloThenAuth", "HELO old\r\nAUTH PLAIN "s + plain_joe + "\r\n", "250 mail.example.test\r\n"s + asked_joe + in},
    {"NoName", ehlo, "250-localhost\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n", FrontOptions{}},
    {"BareLineFeed", "NOOP\nEHLO a\nAUTH PLAIN\n" + std::string(plain_joe) + "\n",
     nothing_done + std::string(list) + "334 \r\n" + asked_joe + in},
};
INSTANTIATE_TEST_SUITE_P(Hello, SmtpFrontConversation, testing::ValuesIn(hellos));

const Conversation any_state[] = {
    {"Noop", "NOOP\r\nNOOP of any kind\r\n", nothing_done + std::string(nothing_done)},
    {"ManyNoopsAreNoErrors", times(50, "NOOP\r\n"), times(50, nothing_done)},
    {"Rset", "RSET\r\nRSET now\r\n", "250 2.0.0 Nothing to forget\r\n501 5.5.4 RSET takes no argument\r\n"},
    // Case smtp-pipelining-beyond-buffer.
    {"PipeliningBeyondBuffer", ehlo + times(300, "RSET\r\n"), list + times(300, "250 2.0.0 Nothing to forget\r\n")},
    {"Help", "HELP\r\nHELP AUTH\r\n",
     times(2, "214 2.0.0 Say EHLO, then AUTH; the rest is for those who are logged in\r\n")},
    {"VrfyTellsNothing", "VRFY joe\r\nVRFY nobody\r\n",
     times(2, "252 2.0.0 Nobody is confirmed here; log in and send mail\r\n")},
    {"Expn", "EXPN staff\r\n", "502 5.5.1 Lists are not expanded here\r\n"},
    // Case smtp-quit-before-auth.
    {"QuitBeforeAuth", "QUIT\r\nNOOP\r\n", "221 2.0.0 Until next time\r\n<goodbye 0>"},
    // Case smtp-mail-before-auth.
    {"MailBeforeAuth", ehlo + "MAIL FROM:<joe@example.test>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\netrn x\r\n"s,
     list + times(4, log_in_first), inside_tls(), nobody_asks},
    {"MailBeforeAuthIsNoError", times(50, "MAIL FROM:<>\r\n"), times(50, log_in_first)},
    {"Bdat", "BDAT 21 LAST\r\nAUTH PLAIN x\r\nQUIT\r\n\nNOOP\r\nbdat 0 last\r\n",
     log_in_first + std::string(nothing_done) + log_in_first, inside_tls(), nobody_asks},
    {"BdatInClear", "BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nNOOP\r\n", tls_first + std::string(tls_first), in_clear()},
    {"BdatLargest", "BDAT 65536\r\n" + times(8192, "QUIT__\r\n") + "NOOP\r\n",
     log_in_first + std::string(nothing_done)},
    {"BdatTooLarge", "BDAT 65537\r\nQUIT\r\n",
     log_in_first + "421 4.7.0 mail.example.test Nothing behind it can be understood\r\n<goodbye 3>"s},
    {"BdatUnclear", "BDAT 010\r\nQUIT\r\n",
     "501 5.5.4 BDAT takes a size\r\n421 4.7.0 mail.example.test Nothing behind it can be understood\r\n<goodbye 3>"},
    {"BdatOverflows", "BDAT 18446744073709551617 LAST\r\nQUIT\r\n",
     "501 5.5.4 BDAT takes a size\r\n421 4.7.0 mail.example.test Nothing behind it can be understood\r\n<goodbye 3>"},
    {"InClearAllElseWantsTls", "RSET\r\nVRFY joe\r\nMAIL FROM:<>\r\nHELP\r\nNOOP\r\n",
     times(4, tls_first) + nothing_done, in_clear()},
    {"XclientFromAnyone", "XCLIENT ADDR=192.0.2.7\r\nXFORWARD ADDR=192.0.2.7\r\n",
     "550 5.7.0 XCLIENT is not for you\r\n500 5.5.1 Unknown command\r\n"},
};
INSTANTIATE_TEST_SUITE_P(AnyState, SmtpFrontConversation, testing::ValuesIn(any_state));

const Conversation logins[] = {
    {"PlainInOneLine", ehlo + "AUTH PLAIN "s + plain_joe + "\r\n", list + std::string(asked_joe) + in},
    // Case smtp-auth-plain-challenge.
    {"PlainChallenge", ehlo + "auth plain\r\n"s + plain_joe + "\r\n", list + "334 \r\n"s + asked_joe + in},
    {"BlankBehindMechanism", ehlo + "AUTH PLAIN \r\n"s + plain_joe + "\r\n", list + "334 \r\n"s + asked_joe + in},
    // YW5uAGpvZQBzZWNyZXQ= is ann NUL joe NUL secret; am9lAGpvZQBzZWNyZXQ= has joe twice.
    {"PlainForSomeoneElse", ehlo + "AUTH PLAIN YW5uAGpvZQBzZWNyZXQ=\r\n"s, list + "<PLAIN joe as ann secret>"s + in},
    {"PlainSameIdentityTwice", ehlo + "AUTH PLAIN am9lAGpvZQBzZWNyZXQ=\r\n"s, list + "<PLAIN joe secret>"s + in},
    {"PlainWithoutPassword", ehlo + "AUTH PLAIN AGpvZQA=\r\n"s, list + std::string(wrong), inside_tls(), nobody_asks},
    // Case smtp-auth-login-outlook.
    {"LoginOutlook", "ehlo client.example.test\r\nauth login\r\nam9lQGV4YW1wbGUudGVzdA==\r\nc2VjcmV0\r\n",
     list + "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n<LOGIN joe@example.test secret>"s + in},
    {"LoginWithName", ehlo + "AUTH LOGIN am9l\r\nc2VjcmV0\r\n"s, list + "334 UGFzc3dvcmQ6\r\n<LOGIN joe secret>"s + in},
    // Case smtp-auth-login-empty-answers.
    {"LoginEmptyAnswers", ehlo + "AUTH LOGIN\r\n\r\n\r\n"s, list + "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"s + wrong,
     inside_tls(), nobody_asks},
    // Case smtp-auth-cancel-and-bad-base64.
    {"CancelAndBadBase64",
     ehlo + "AUTH PLAIN\r\n*\r\nAUTH PLAIN \xff\xfe!\r\nAUTH LOGIN am9l\r\n*\r\nAUTH PLAIN *\r\nAUTH PLAIN a b\r\n"s +
         "AUTH PLAIN am9l\r\nAUTH PLAIN =\r\nAUTH PLAIN " + plain_joe + "\r\n",
     list + "334 \r\n501 5.7.0 Authentication cancelled\r\n"s + no_base64 +
         "334 UGFzc3dvcmQ6\r\n501 5.7.0 Authentication cancelled\r\n" + no_base64 + no_base64 +
         times(2, "501 5.5.2 That is not what the mechanism says\r\n") + asked_joe + in},
    // Case smtp-auth-long-token: NUL joe NUL and 9203 times "t" make 12288 octets of base64, the most that must be taken.
    {"LongestToken", ehlo + "AUTH PLAIN\r\nAGpvZQB0"s + times(3067, "dHR0") + "dHR0\r\n",
     list + "334 \r\n<PLAIN joe "s + times(9205, "t") + ">" + in},
    {"TokenTooLong", ehlo + "AUTH PLAIN\r\n"s + times(12289, "A"),
     list +
         "334 \r\n500 5.5.6 That is too long\r\n421 4.7.0 mail.example.test Nothing behind it can be understood\r\n"s +
         "<goodbye 3>"},
    {"OtherMechanism", ehlo + "AUTH CRAM-MD5\r\nAUTH GSSAPI x\r\nAUTH\r\n"s,
     list + times(2, "504 5.5.4 That mechanism is not offered\r\n") + "501 5.5.4 AUTH takes a mechanism\r\n",
     inside_tls(), nobody_asks},
    {"AuthBeforeEhlo", "AUTH PLAIN "s + plain_joe + "\r\n", "503 5.5.1 Say EHLO first\r\n", inside_tls(), nobody_asks},
    // Case smtp-auth-in-clear.
    {"AuthInClear", ehlo + "AUTH PLAIN "s + plain_joe + "\r\nAUTH LOGIN\r\n",
     list_in_clear + std::string(tls_first) + tls_first, in_clear(), nobody_asks},
    {"AuthInClearForever", ehlo + "AUTH LOGIN\r\n"s,
     "250-localhost\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
     "538 5.7.11 Passwords do not cross this connection in clear\r\n",
     FrontOptions{}, nobody_asks},
    // Case smtp-pipelined-after-auth: what stands behind the login is for the mail server, to the octet.
    {"PipelinedAfterAuth", ehlo + "AUTH PLAIN "s + plain_joe + "\r\nMAIL FROM:<joe@example.test>\r\nRS",
     list + std::string(asked_joe) + "235 2.7.0 Logged in\r\n<relay MAIL FROM:<joe@example.test>\r\nRS>"},
    // Case smtp-pipelined-after-failed-auth; the base64 is NUL joe@example.test NUL wrong.
    {"PipelinedAfterFailedAuth",
     ehlo + "AUTH PLAIN AGpvZUBleGFtcGxlLnRlc3QAd3Jvbmc=\r\nMAIL FROM:<joe@example.test>\r\n"s,
     list + "<PLAIN joe@example.test wrong>"s + wrong + log_in_first, inside_tls(), refuse},
    // The reason for a refused token, and its answer (RFC 7628, section 3.2.3).
    {"TokenRefused", ehlo + "AUTH OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\nAQ==\r\nNOOP\r\n"s,
     "250-mail.example.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2\r\n"
     "250 ENHANCEDSTATUSCODES\r\n<OAUTHBEARER joe token>334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n"s +
         wrong + nothing_done,
     with_tokens(), refuse},
};
INSTANTIATE_TEST_SUITE_P(Login, SmtpFrontConversation, testing::ValuesIn(logins));

const Conversation others[] = {
    {"StartTls", ehlo + "STARTTLS\r\n"s, list_in_clear + "220 2.0.0 Begin the TLS handshake\r\n<tls>"s, in_clear()},
    // Case smtp-starttls-injection.
    {"StartTlsInjection", ehlo + "STARTTLS\r\nRSET\r\n"s, list_in_clear + "220 2.0.0 Begin the TLS handshake\r\n<tls>"s,
     in_clear()},
    {"StartTlsTwice", "STARTTLS\r\n", "503 5.5.1 TLS is active already\r\n"},
    {"StartTlsNotOffered", "STARTTLS\r\n", "502 5.5.1 STARTTLS is not offered here\r\n", FrontOptions{}},
    {"StartTlsWithArgument", "STARTTLS now\r\n", "501 5.5.4 STARTTLS takes no argument\r\n", in_clear()},
    {"Unknown", "FOO\r\n\r\n NOOP\r\nNOOP\0\r\n%n%n\r\nLHLO x\r\n"s, times(6, "500 5.5.1 Unknown command\r\n")},
    {"TooManyBadCommands", times(200, "FOO\r\n"),
     times(10, "500 5.5.1 Unknown command\r\n") + "421 4.7.0 mail.example.test Too many bad commands\r\n<goodbye 1>"},
    {"TooManyRefusals", ehlo + times(20, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"),
     list + times(5, "<PLAIN joe secret>"s + wrong) +
         "421 4.7.0 mail.example.test Too many refused logins\r\n<goodbye 2>",
     inside_tls(), refuse},
    {"HttpRequest", "POST / HTTP/1.1\r\n\r\nEHLO a\r\nAUTH PLAIN "s + plain_joe + "\r\n", "<goodbye 4>", inside_tls(),
     nobody_asks},
    {"LineTooLong", "NOOP " + times(8187, "x") + "\r\nNOOP " + times(8188, "x"),
     nothing_done + "500 5.5.6 That is too long\r\n"s +
         "421 4.7.0 mail.example.test Nothing behind it can be understood\r\n<goodbye 3>"},
    {"XclientGreetsAgain", ehlo + "XCLIENT ADDR=192.0.2.7 PORT=4711\r\nAUTH PLAIN x\r\n"s + ehlo,
     list_of_webmail + "220 mail.example.test ESMTP Postern ready\r\n503 5.5.1 Say EHLO first\r\n"s + list_of_webmail,
     webmail(), nobody_asks},
    {"XclientAttributes",
     "XCLIENT\r\nXCLIENT ADDR\r\nXCLIENT LOGIN=joe\r\nXCLIENT PORT=x\r\nXCLIENT ADDR=+zz\r\nXCLIENT PORT=70000\r\n",
     "501 5.5.4 XCLIENT takes attributes\r\n" + times(5, "501 5.5.4 Bad XCLIENT attribute\r\n"), webmail()},
};
INSTANTIATE_TEST_SUITE_P(Others, SmtpFrontConversation, testing::ValuesIn(others));

// Case smtp-early-talker: whatever is fed before, the greeting is the first that is said.
TEST(SmtpFront, GreetsFirst) {
  Front early(inside_tls());
  early.feed(ehlo);
  EXPECT_EQ(early.greeting(), "220 mail.example.test ESMTP Postern ready\r\n");
  const protocol::FrontEvent event = early.next();
  ASSERT_TRUE(std::holds_alternative<protocol::Reply>(event));
  EXPECT_EQ(std::get<protocol::Reply>(event).bytes, list);
  EXPECT_EQ(Front(FrontOptions{}).greeting(), "220 localhost ESMTP Postern ready\r\n");
  EXPECT_EQ(early.bye("Shutting\r\ndown"), "421 4.3.2 mail.example.test Shuttingdown\r\n");
}

// Case smtp-starttls-forgets-ehlo: the Front behind the handshake is a new one, which says nothing first.
TEST(SmtpFront, ForgetsEhloBehindStartTls) {
  FrontOptions options = inside_tls();
  options.after_starttls = true;
  EXPECT_EQ(Front(options).greeting(), "");
  EXPECT_EQ(test::front_differs<Front>(options, "AUTH PLAIN "s + plain_joe + "\r\n" + ehlo + "RSET\r\n", nobody_asks,
                                       "503 5.5.1 Say EHLO first\r\n"s + list + "250 2.0.0 Nothing to forget\r\n"),
            std::nullopt);
}

// What the mail servers said is passed on, but for the gate's own affairs and what would break the reply.
TEST(SmtpFront, SaysWhatTheMailServersCan) {
  FrontOptions options = inside_tls();
  options.learned =
      "SIZE 1000000\n8BITMIME\nSTARTTLS\nAUTH PLAIN GSSAPI\nAUTH=LOGIN\nxclient NAME\nXFORWARD NAME\nX-EXPS=LOGIN\n"
      "ETRN\nBURL imap\nPIPELINING\nENHANCEDSTATUSCODES\n\nDSN\nBAD\x01\nB\xc3\xa4\n EVIL\nCHUNKING\r\nSMTPUTF8\n" +
      times(507, "L");
  EXPECT_EQ(test::front_differs<Front>(options, ehlo, accept,
                                       "250-mail.example.test\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n"
                                       "250-SMTPUTF8\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n"
                                       "250 ENHANCEDSTATUSCODES\r\n"),
            std::nullopt);
}

TEST(SmtpFront, SaysEachRefusalInItsWords) {
  const std::pair<Refusal, std::string> spoken[] = {
      {{RefusalCause::Credentials}, wrong},
      {{RefusalCause::Credentials, {}, "no"}, "535 5.7.8 no\r\n"},
      // Case smtp-back-endless-reply: what the mail program hears when no mail server is fit to ask.
      {{RefusalCause::Unavailable}, "454 4.7.0 Your login cannot be served right now; please try again later\r\n"},
      {{RefusalCause::NotAllowed}, "550 5.7.1 You may not log in here\r\n"},
      {{RefusalCause::Limit}, "454 4.7.0 Too many sessions of this user\r\n"},
      {{RefusalCause::Passed, "534 5.7.9", "Use an application password"}, "534 5.7.9 Use an application password\r\n"},
      {{RefusalCause::Passed, "454 4.7.0", ""}, "454 4.7.0 The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "", "no"}, "550 5.7.0 no\r\n"},
      {{RefusalCause::Passed, "421 4.7.0", "no"}, "454 4.7.0 no\r\n"},
      {{RefusalCause::Passed, "550 4.7.1", "no"}, "550 5.7.0 no\r\n"},
      {{RefusalCause::Passed, "250 2.0.0", "no"}, "550 5.7.0 no\r\n"},
      {{RefusalCause::Passed, "550-5.7.1", "no"}, "550 5.7.0 no\r\n"},
      {{RefusalCause::Passed, "550 5.7.1\r\n235 2.7.0", "a\r\n235 b"}, "550 5.7.0 a235 b\r\n"},
      {{RefusalCause::Credentials, {}, {}, "* OK [ALERT] quota\r\n"}, wrong},
  };
  for (const auto& [refusal, answer] : spoken) {
    Play play(inside_tls(), [verdict = Answer(refusal)](const Credentials&) { return verdict; });
    play.feed(ehlo + "AUTH PLAIN "s + plain_joe + "\r\n");
    EXPECT_EQ(play.transcript(), list + std::string(asked_joe) + answer);
  }
}

TEST(SmtpFront, WelcomesInOneLine) {
  for (const auto& [text, said] : {std::pair("", "Logged in"), std::pair("hello\r\n550 x", "hello550 x")}) {
    Play play(inside_tls(), [text = std::string(text)](const Credentials&) {
      return Answer(Accepted{"SIZE 1\nCHUNKING", text, "550 alert\r\n"});
    });
    play.feed(ehlo + "AUTH PLAIN "s + plain_joe + "\r\n");
    EXPECT_EQ(play.transcript(), list + std::string(asked_joe) + "235 2.7.0 " + said + "\r\n<relay >");
  }
}

BackIdentity described_after(std::string_view bytes, const FrontOptions& options = inside_tls()) {
  Play play(options, nobody_asks);
  play.feed(bytes);
  BackIdentity identity;
  play.front().describe(identity);
  return identity;
}

TEST(SmtpFront, DescribesTheMailProgramAsItSaid) {
  EXPECT_EQ(described_after("EHLO [IPv6:2001:DB8::7]\r\n").helo, "[IPv6:2001:DB8::7]");
  EXPECT_FALSE(described_after("HELO a\r\nEHLO My_PC\r\n").helo_is_old);
  EXPECT_EQ(described_after("HELO My_PC\r\nEHLO a b\r\n").helo, "My_PC");
  EXPECT_TRUE(described_after("HELO My_PC\r\n").helo_is_old);
  EXPECT_EQ(described_after("EHLO a\r\nXCLIENT ADDR=192.0.2.7\r\n", webmail()).helo, "");
}

protocol::FrontSaid said_after(std::string_view bytes, const FrontOptions& options = webmail()) {
  Play play(options, nobody_asks);
  play.feed(bytes);
  return std::as_const(play.front()).heard();
}

TEST(SmtpFront, NotesWhatAWebmailHostSays) {
  const protocol::FrontSaid six = said_after("XCLIENT addr=ipv6:2001:db8::7 port=4711 SESSION=9f+20+2B\r\n");
  EXPECT_EQ(six.address, "2001:db8::7");
  EXPECT_EQ(six.port, 4711);
  EXPECT_EQ(six.session_id, "9f+");
  EXPECT_EQ(said_after("XCLIENT ADDR=192.0.2.7\r\nXCLIENT ADDR=[UNAVAILABLE] PORT=[TEMPUNAVAIL]\r\n").address, "");
  EXPECT_EQ(said_after("XCLIENT ADDR=192.0.2.7 PORT=no\r\n").address, "") << "a bad command must leave no trace";
  EXPECT_EQ(said_after("XCLIENT ADDR=192.0.2.7\r\n", inside_tls()).address, "");
}

TEST(SmtpFront, IsSmall) {
  EXPECT_LE(sizeof(Front), 800u);
}

}  // namespace
}  // namespace postern::smtp
