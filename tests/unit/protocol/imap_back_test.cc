// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of imap::Back with mail servers of all kinds. The mail server's side is fed as one text: a Back takes
// it line by line, whether it waits for our commands or not, so the transcript is the same in every cut.
#include "protocol/imap/back.h"

#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::imap {
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
  bool id = false;
};

BackIdentity identity_of(const Who& who) {
  return {.send = who.id,
          .front_address = "203.0.113.7",
          .front_port = 4711,
          .local_address = "192.0.2.1",
          .local_port = 993,
          .session_id = "9f2c"};
}

using Conversation = test::BackTalk<Who>;

class BackConversation : public testing::TestWithParam<Conversation> {};

TEST_P(BackConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut<Back>(GetParam(), identity_of(GetParam().who));
}

constexpr char login_joe[] = "P1 LOGIN \"joe\" \"secret\"\r\n";
constexpr char id_line[] =
    "P1 ID (\"x-originating-ip\" \"203.0.113.7\" \"x-originating-port\" \"4711\" \"x-connected-ip\" \"192.0.2.1\" "
    "\"x-connected-port\" \"993\" \"x-session-id\" \"9f2c\" \"x-proxy-ttl\" \"5\")\r\n";

const Conversation ways_in[] = {
    {"Quoted", "* OK hello\r\nP1 OK in\r\n", login_joe + "<in [] in><relay >"s},
    {"BareLineFeed", "* OK hello\nP1 OK in\n", login_joe + "<in [] in><relay >"s},
    {"QuotedWithEscapes",
     "* OK\r\nP1 OK\r\n",
     R"(P1 LOGIN "te\\\"st" "se \\\"cret")"
     "\r\n<in [] ><relay >",
     {.user = "te\\\"st", .password = "se \\\"cret"}},
    {"Empty", "* OK\r\nP1 NO\r\n", "P1 LOGIN \"joe\" \"\"\r\n<refused 0 [] >", {.password = ""}},
    {"EightBitsAsksFirst",
     "* OK hello\r\n* CAPABILITY IMAP4rev1\r\nP1 OK\r\n+ go\r\nP2 OK in\r\n",
     "P1 CAPABILITY\r\nP2 LOGIN \"joe\" {4}\r\np\xc3\xa9s\r\n<in [] in><relay >",
     {.password = "p\xc3\xa9s"}},
    {"EightBitsWithLiteralPlus",
     "* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\nP1 OK in\r\n",
     "P1 LOGIN {3+}\r\nj\xc3\xb6 {4+}\r\np\xc3\xa9s\r\n<in [] in><relay >",
     {.user = "j\xc3\xb6", .password = "p\xc3\xa9s"}},
    {"EightBitsWithoutLiteralPlus",
     "* OK [CAPABILITY IMAP4rev1] hello\r\n+\r\n+ \r\nP1 OK in\r\n",
     "P1 LOGIN {3}\r\nj\xc3\xb6 {4}\r\np\xc3\xa9s\r\n<in [] in><relay >",
     {.user = "j\xc3\xb6", .password = "p\xc3\xa9s"}},
    {"LongWithLiteralMinus",
     "* OK [CAPABILITY IMAP4rev1 LITERAL-] hello\r\n+ \r\nP1 OK in\r\n",
     "P1 LOGIN {2000+}\r\n" + std::string(2000, 'u') + " {4097}\r\n" + std::string(4097, 'p') +
         "\r\n<in [] in><relay >",
     {.user = std::string(2000, 'u'), .password = std::string(4097, 'p')}},
    {"LineEndsInPassword",
     "* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\nP1 OK in\r\n",
     "P1 LOGIN \"joe\" {8+}\r\na\r\nP2 XX\r\n<in [] in><relay >",
     {.password = "a\r\nP2 XX"}},
    {"CapabilityIsNotKnown",
     "* OK hello\r\nP1 BAD what?\r\n+ \r\nP2 OK in\r\n",
     "P1 CAPABILITY\r\nP2 LOGIN \"joe\" {4}\r\np\xc3\xa9s\r\n<in [] in><relay >",
     {.password = "p\xc3\xa9s"}},
    // AGpvZQBzZWNyZXQ= is NUL joe NUL secret; am9lAHJvb3QAc2VjcmV0 is joe NUL root NUL secret.
    {"LoginDisabled", "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN] hello\r\nP1 OK in\r\n",
     "P1 AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n<in [] in><relay >"},
    {"Master",
     "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\nP1 OK in\r\n",
     "P1 AUTHENTICATE PLAIN am9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root"}},
    {"MasterAsksFirst",
     "* OK hello\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nP1 OK done\r\n+ \r\nP2 OK in\r\n",
     "P1 CAPABILITY\r\nP2 AUTHENTICATE PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root"}},
    {"MasterWithLonePlus",
     "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN]\r\n+\r\nP1 OK in\r\n",
     "P1 AUTHENTICATE PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root"}},
    {"MasterOfHimself", "* OK hello\r\nP1 OK in\r\n", login_joe + "<in [] in><relay >"s, {.master = "joe"}},
    {"PlainByRoute",
     "* OK [CAPABILITY IMAP4rev1] hello\r\n+ \r\nP1 OK in\r\n",
     "P1 AUTHENTICATE PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n<in [] in><relay >",
     {.mechanism = Mechanism::Plain}},
    {"Id",
     "* OK hello\r\n* ID (\"name\" \"Dovecot\")\r\nP1 OK ID completed.\r\nP2 OK in\r\n",
     id_line + "P2 LOGIN \"joe\" \"secret\"\r\n<in [] in><relay >"s,
     {.id = true}},
    {"IdIsRefused",
     "* OK [CAPABILITY IMAP4rev1 ID] hello\r\nP1 BAD no\r\nP2 OK in\r\n",
     id_line + "P2 LOGIN \"joe\" \"secret\"\r\n<in [] in><relay >"s,
     {.id = true}},
    {"IdIsNotOffered",
     "* OK [CAPABILITY IMAP4rev1] hello\r\nP1 OK in\r\n",
     login_joe + "<in [] in><relay >"s,
     {.id = true}},
};
INSTANTIATE_TEST_SUITE_P(WaysIn, BackConversation, testing::ValuesIn(ways_in));

const Conversation untagged[] = {
    {"BehindTheOk", "* OK hello\r\nP1 OK in\r\n* OK [ALERT] quota 90%\r\n",
     login_joe + "<in [] in><relay * OK [ALERT] quota 90%\r\n>"s},
    {"CapabilityInOk", "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\nP1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n",
     login_joe + "<in [IMAP4rev1 IDLE] in><relay >"s},
    {"CapabilityBeforeOk", "* OK hello\r\n* CAPABILITY IMAP4rev1 IDLE\r\nP1 OK logged in\r\n",
     login_joe + "<in [IMAP4rev1 IDLE] logged in><relay >"s},
    {"CapabilityTwice", "* OK hello\r\n* CAPABILITY IMAP4rev1 IDLE\r\nP1 OK [capability IMAP4rev1 MOVE] in\r\n",
     login_joe + "<in [IMAP4rev1 MOVE] in><relay >"s},
    {"ListBeforeLoginIsNotPassed", "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\nP1 OK in\r\n",
     login_joe + "<in [] in><relay >"s},
    {"ClearLegsWordsAreNotPassed", "* OK hi\r\nP1 OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED IDLE] in\r\n",
     login_joe + "<in [IMAP4rev1 IDLE] in><relay >"s},
    {"UnprintableListIsNotPassed", "* OK hi\r\n* CAPABILITY IMAP4rev1 ]\x01 X\r\nP1 OK in\r\n",
     login_joe + "<in [] in><relay >"s},
    {"Waiting",
     "* OK hi\r\n* OK Waiting for authentication process to respond..\r\n* NO still\r\n* 1 EXISTS\r\nP1 OK in\r\n",
     login_joe + "<in [] in><relay >"s},
    {"TextThatEndsLikeALiteral", "* OK hi {5}\r\n* OK really {7+}\r\nP1 OK in {5}\r\nmore",
     login_joe + "<in [] in {5}><relay more>"s},
    {"LiteralInData", "* OK hi\r\n* ID (\"name\" {9}\r\nP1 NO x\r\n \"v\" {0}\r\n)\r\nP1 OK in\r\n",
     login_joe + "<in [] in><relay >"s},
    {"Alerts", "* OK [ALERT] old\r\n* NO [ALERT] quota\r\nP1 OK [ALERT] new\r\n",
     login_joe + "* OK [ALERT] old\r\n* OK [ALERT] quota\r\n* OK [ALERT] new\r\n<in [] new><relay >"s},
    {"ControlsInText", "* OK hi\r\nP1 OK a\x01\rb\x7f\r\n", login_joe + "<in [] ab><relay >"s},
};
INSTANTIATE_TEST_SUITE_P(Untagged, BackConversation, testing::ValuesIn(untagged));

// The numbers are RefusalCause's: 0 Credentials, 1 Unavailable, 4 Passed.
const Conversation refusals[] = {
    {"Bare", "* OK hi\r\nP1 NO user joe is unknown\r\n", login_joe + "<refused 0 [] >"s},
    {"AuthenticationFailed", "* OK hi\r\nP1 NO [AUTHENTICATIONFAILED] Account of joe\r\n",
     login_joe + "<refused 0 [] >"s},
    {"Unavailable", "* OK hi\r\nP1 NO [UNAVAILABLE] mailbox is moving\r\n",
     login_joe + "<refused 4 [UNAVAILABLE] mailbox is moving maybe>"s},
    {"ServerBug", "* OK hi\r\nP1 NO [SERVERBUG] oops\r\n", login_joe + "<refused 4 [SERVERBUG] oops maybe>"s},
    {"InUse", "* OK hi\r\nP1 NO [INUSE] locked\r\n", login_joe + "<refused 4 [INUSE] locked>"s},
    {"Limit", "* OK hi\r\nP1 NO [LIMIT] enough\r\n", login_joe + "<refused 4 [LIMIT] enough>"s},
    {"Alert", "* OK hi\r\n* NO [ALERT] pay\r\nP1 NO [ALERT] Use the web\r\n",
     login_joe + "* OK [ALERT] pay\r\n<refused 4 [ALERT] Use the web>"s},
    {"CodeWithArguments", "* OK hi\r\nP1 NO [X-WHY 42 times] no\r\n", login_joe + "<refused 4 [X-WHY 42 times] no>"s},
    {"OddCode", "* OK hi\r\nP1 NO [\x01] no\r\n", login_joe + "<refused 4 [] no>"s},
    {"Referral", "* OK hi\r\nP1 NO [REFERRAL imap://joe@other.example.test/] go\r\n",
     login_joe + "<refused 1 [] go maybe>"s},
    {"TextHoldsThePassword",
     "* OK hi\r\n* NO [ALERT] got LOGIN \"joe\" \"secret\"\r\nP1 NO [LIMIT] LOGIN joe secret\r\n",
     login_joe + "<refused 4 [LIMIT] >"s},
    {"TextHoldsThePasswordBetweenControls",
     "* OK hi\r\nP1 NO [LIMIT] LOGIN joe se\x01"
     "cret\r\n",
     login_joe + "<refused 4 [LIMIT] >"s},
    {"CodeHoldsThePassword", "* OK hi\r\nP1 NO [X secret] no\r\n", login_joe + "<refused 4 [X] no>"s},
    {"TextHoldsThePasswordInQuotes",
     "* OK hi\r\nP1 NO [LIMIT] \"a\\\"b\"\r\n",
     "P1 LOGIN \"joe\" \"a\\\"b\"\r\n<refused 4 [LIMIT] >",
     {.password = "a\"b"}},
    {"TextHoldsThePasswordInBase64",
     "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\nP1 NO [LIMIT] PLAIN am9lAHJvb3QAc2VjcmV0\r\n",
     "P1 AUTHENTICATE PLAIN am9lAHJvb3QAc2VjcmV0\r\n<refused 4 [LIMIT] >",
     {.master = "root"}},
    {"NothingIsReadBehindIt", "* OK hi\r\nP1 NO x\r\n* BYE\r\nP1 OK in\r\n", login_joe + "<refused 0 [] >"s},
};
INSTANTIATE_TEST_SUITE_P(Refusals, BackConversation, testing::ValuesIn(refusals));

constexpr char bad_greeting[] = "<failed garbage: the greeting is not IMAP's>";

const Conversation failures[] = {
    {"GreetingBye", "* BYE full\r\n", "<failed bye: the mail server said BYE before its greeting>"},
    {"GreetingPreauth", "* PREAUTH IMAP4rev1 welcome root\r\n",
     "<failed preauth: the mail server greets with PREAUTH: it takes us for a user without any password>"},
    {"GreetingOfSmtp", "220 mail.example.test ESMTP\r\n", bad_greeting},
    {"GreetingOfPop3", "+OK ready\r\n", bad_greeting},
    {"GreetingIsNo", "* NO\r\n", bad_greeting},
    {"GreetingIsData", "* CAPABILITY IMAP4rev1\r\n", bad_greeting},
    {"GreetingIsEmpty", "\r\n", bad_greeting},
    {"GreetingIsTagged", "P1 OK in\r\n", bad_greeting},
    {"ByeDuringLogin", "* OK hi\r\n* BYE internal error\r\n",
     login_joe + "<failed bye: the mail server said BYE before its answer to the login>"s},
    {"Bad", "* OK hi\r\nP1 BAD LOGIN joe secret?\r\n",
     login_joe + "<failed bad: the mail server does not understand the login>"s},
    {"PrivacyRequired", "* OK hi\r\nP1 NO [PRIVACYREQUIRED] x\r\n",
     login_joe + "<failed no-tls: the mail server wants TLS for a login; set tls for its pool>"s},
    {"OtherTag", "* OK hi\r\nP9 OK in\r\n", login_joe + "<failed garbage: an answer is not to our command>"s},
    {"LoginBeforeId",
     "* OK hi\r\nP2 OK in\r\nP1 OK id\r\n",
     id_line + "P2 LOGIN \"joe\" \"secret\"\r\n<failed garbage: an answer is not to our command>"s,
     {.id = true}},
    {"GarbageAnswer", "* OK hi\r\n\x16\x03\x01\r\n",
     login_joe + "<failed garbage: the answer to the login is not IMAP's>"s},
    {"PlusTooMany", "* OK hi\r\n+ go\r\n",
     login_joe + "<failed garbage: the mail server asks to go on where nothing is left to say>"s},
    {"LoginDisabledWithoutPlain", "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] hi\r\n",
     "<failed no-mechanism: the mail server offers neither LOGIN nor AUTH=PLAIN>"},
    {"MasterWithoutPlain",
     "* OK [CAPABILITY IMAP4rev1] hi\r\n",
     "<failed no-mechanism: the mail server does not offer AUTH=PLAIN, which a master user needs>",
     {.master = "root"}},
    {"LoginByRouteIsDisabled",
     "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n",
     "<failed no-mechanism: the mail server has LOGIN disabled, which its route wants>",
     {.mechanism = Mechanism::Login}},
    {"Nul",
     "* OK hi\r\n",
     "<failed no-mechanism: IMAP cannot carry a name or a password with NUL in it>",
     {.password = "a\0b"s}},
    {"CapabilityAnswerIsGarbage",
     "* OK hi\r\n+ x\r\n",
     "P1 CAPABILITY\r\n<failed garbage: the answer to CAPABILITY is not IMAP's>",
     {.master = "root"}},
    {"EndlessLine", std::string(9000, 'x'), "<failed too-much: a line is longer than a login can need>"},
    {"EndlessLines",
     [] {
       std::string lines = "* OK hi\r\n";
       for (int i = 0; i < 200; ++i)
         lines += "* 1 EXISTS\r\n";
       return lines;
     }(),
     login_joe + "<failed too-much: there is more to read than a login can need>"s},
    {"HugeLiteral", "* OK hi\r\n* ID ({65530}\r\n",
     login_joe + "<failed too-much: a literal is larger than a login can need>"s},
    {"LiteralCountOverflows", "* OK hi\r\n* ID ({18446744073709551622}\r\n",
     login_joe + "<failed too-much: a literal is larger than a login can need>"s},
};
INSTANTIATE_TEST_SUITE_P(Failures, BackConversation, testing::ValuesIn(failures));

TEST(Back, StartsTlsAndForgetsWhatWasSaidInClear) {
  for (const char* greeting : {"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n", "* OK hi\r\n",
                               "* OK [ALERT] an injected word\r\n"}) {
    Play play(login_of(Who{}), {}, BackTlsPlan::StartTls);
    play.feed(greeting);
    play.feed("P1 OK go\r\n");
    EXPECT_EQ(play.transcript(), "P1 STARTTLS\r\n<tls>");
    play.back().tls_started();
    play.feed("");
    play.feed("P2 OK in\r\n");
    EXPECT_EQ(play.transcript(), "P1 STARTTLS\r\n<tls>P2 LOGIN \"joe\" \"secret\"\r\n<in [] in><relay >");
  }
}

// A master login needs to know whether AUTH=PLAIN is offered, and what was said before TLS does not count.
TEST(Back, AsksAgainInsideTls) {
  Play play(login_of(Who{.master = "root"}), {}, BackTlsPlan::StartTls);
  play.feed("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n");
  play.feed("P1 OK go\r\n");
  play.back().tls_started();
  play.feed("");
  play.feed("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nP2 OK\r\nP3 OK in\r\n");
  EXPECT_EQ(play.transcript(),
            "P1 STARTTLS\r\n<tls>P2 CAPABILITY\r\nP3 AUTHENTICATE PLAIN am9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >");
}

TEST(Back, TakesNothingInClearBehindStartTls) {
  const std::string injected = "<failed no-tls: bytes came in clear where the TLS handshake should begin>";
  Play glued(login_of(Who{}), {}, BackTlsPlan::StartTls);
  glued.feed("* OK hi\r\nP1 OK go\r\n* OK [ALERT] x\r\n");
  EXPECT_EQ(glued.transcript(), "P1 STARTTLS\r\n" + injected);
  Play later(login_of(Who{}), {}, BackTlsPlan::StartTls);
  later.feed("* OK hi\r\nP1 OK go\r\n");
  later.feed("*");
  EXPECT_EQ(later.transcript(), "P1 STARTTLS\r\n<tls>" + injected);
}

TEST(Back, SendsNoPasswordWithoutTheTlsThatIsWanted) {
  const std::pair<const char*, const char*> servers[] = {
      {"* OK [CAPABILITY IMAP4rev1] hi\r\n",
       "<failed no-tls: the mail server does not offer STARTTLS, which its pool wants>"},
      {"* OK hi\r\nP1 NO not now\r\n",
       "P1 STARTTLS\r\n<failed no-tls: the mail server refuses STARTTLS, which its pool wants>"},
      {"* OK hi\r\nP1 BAD what\r\n",
       "P1 STARTTLS\r\n<failed no-tls: the mail server refuses STARTTLS, which its pool wants>"},
      {"* OK hi\r\n+ what\r\n", "P1 STARTTLS\r\n<failed garbage: the answer to STARTTLS is not IMAP's>"},
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

TEST(Back, SaysWhereTheConnectionEnded) {
  Play play(login_of(Who{}), {}, BackTlsPlan::None);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its greeting");
  play.feed("* OK hi\r\n");
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its answer to the login");
  EXPECT_EQ(play.back().closed().failure, protocol::BackFailure::Closed);
}

// What comes after LoggedIn belongs to the mail program, also when it comes in pieces.
TEST(Back, KeepsWhatFollowsTheLogin) {
  Play play(login_of(Who{}), {}, BackTlsPlan::None);
  play.feed("* OK hi\r\nP1 OK in\r\n* 1");
  play.feed(" EXISTS\r\n");
  EXPECT_EQ(play.transcript(), login_joe + "<in [] in><relay * 1 EXISTS\r\n>"s);
}

}  // namespace
}  // namespace postern::imap
