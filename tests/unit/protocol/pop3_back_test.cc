// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of pop3::Back with mail servers of all kinds. The mail server's side is fed as one text: a Back takes
// it line by line, whether it waits for our commands or not, so the transcript is the same in every cut.
#include "protocol/pop3/back.h"

#include <gtest/gtest.h>

#include "conversation.h"
#include "protocol/sasl/base64.h"

namespace postern::pop3 {
namespace {

using protocol::BackIdentity;
using protocol::BackTlsPlan;
using protocol::Mechanism;
using test::login_of;
using Play = test::BackPlay<Back>;
using std::string_literals::operator""s;

struct Who {
  std::string user = "joe";
  std::string password = "secret";
  std::string master;
  std::optional<Mechanism> mechanism;
  bool probe = false;
  bool xclient = false;
  bool utf8 = false;
};

BackIdentity identity_of(const Who& who) {
  return {.send = who.xclient,
          .front_address = "2001:db8::7",
          .front_port = 4711,
          .local_address = "192.0.2.1",
          .local_port = 995,
          .session_id = "9f2c",
          .utf8 = who.utf8};
}

using Conversation = test::BackTalk<Who>;

class Pop3BackConversation : public testing::TestWithParam<Conversation> {};

TEST_P(Pop3BackConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut<Back>(GetParam(), identity_of(GetParam().who));
}

constexpr char user[] = "USER joe\r\n";
constexpr char login_joe[] = "USER joe\r\nPASS secret\r\n";
constexpr char xclient[] = "XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=9f2c TTL=5\r\n";

// AGpvZQBzZWNyZXQ= is NUL joe NUL secret; am9lAHJvb3QAc2VjcmV0 is joe NUL root NUL secret; AGpvZQBzZWNyZXQNCkRFTEUgMQ==
// ends in a line break and "DELE 1".
const Conversation ways_in[] = {
    {"UserAndPass", "+OK hello\r\n+OK\r\n+OK in\r\n", login_joe + "<in [] in><relay >"s},
    {"BareLineFeedAndLowerCase", "+ok\n+ok\n+ok in\n", login_joe + "<in [] in><relay >"s},
    {"TimestampInGreeting", "+OK POP3 <1896.697170952@mail.example.test>\r\n+OK\r\n+OK in\r\n",
     login_joe + "<in [] in><relay >"s},
    {"BlanksAndEightBits",
     "+OK\r\n+OK\r\n+OK\r\n",
     "USER j\xc3\xb6\r\nPASS  my  s\xe9"
     "cret \r\n<in [] ><relay >",
     {.user = "j\xc3\xb6",
      .password = " my  s\xe9"
                  "cret "}},
    {"LongestOnLines",
     "+OK\r\n+OK\r\n+OK\r\n",
     "USER " + std::string(248, 'u') + "\r\nPASS " + std::string(248, 'p') + "\r\n<in [] ><relay >",
     {.user = std::string(248, 'u'), .password = std::string(248, 'p')}},
    {"TooLongForALine",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH PLAIN\r\n" + sasl::base64_encode("\0joe\0"s + std::string(249, 'p')) + "\r\n<in [] in><relay >",
     {.password = std::string(249, 'p')}},
    {"LineBreakInPassword",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH PLAIN\r\nAGpvZQBzZWNyZXQNCkRFTEUgMQ==\r\n<in [] in><relay >",
     {.password = "secret\r\nDELE 1"}},
    {"LineBreakInName",
     "+OK\r\n+\r\n+OK in\r\n",
     "AUTH PLAIN\r\nAGEKYgBzZWNyZXQ=\r\n<in [] in><relay >",
     {.user = "a\nb"}},
    {"Master",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root"}},
    {"MasterWithLonePlus",
     "+OK\r\n+\r\n+OK in\r\n",
     "AUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root"}},
    {"MasterOfHimself", "+OK\r\n+OK\r\n+OK in\r\n", login_joe + "<in [] in><relay >"s, {.master = "joe"}},
    {"PlainByRoute",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n<in [] in><relay >",
     {.mechanism = Mechanism::Plain}},
    {"LoginByRoute", "+OK\r\n+OK\r\n+OK in\r\n", login_joe + "<in [] in><relay >"s, {.mechanism = Mechanism::Login}},
    {"Token",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH XOAUTH2\r\ndXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n<in [] in><relay >",
     {.mechanism = Mechanism::XOAuth2}},
    {"External",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH EXTERNAL\r\nam9l\r\n<in [] in><relay >",
     {.password = "", .mechanism = Mechanism::External}},
    {"ExternalOfNobody",
     "+OK\r\n+ \r\n+OK in\r\n",
     "AUTH EXTERNAL\r\n\r\n<in [] in><relay >",
     {.user = "", .password = "", .mechanism = Mechanism::External}},
    {"Utf8", "+OK\r\n+OK\r\n+OK\r\n+OK in\r\n", "UTF8\r\n"s + login_joe + "<in [] in><relay >", {.utf8 = true}},
    {"Utf8AndMaster",
     "+OK\r\n+OK\r\n+ \r\n+OK in\r\n",
     "UTF8\r\nAUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >",
     {.master = "root", .utf8 = true}},
    {"CodeInOk", "+OK\r\n+OK\r\n+OK [X-NEW] in [here]\r\n", login_joe + "<in [] in [here]><relay >"s},
    {"ControlsInText", "+OK\r\n+OK\r\n+OK a\x01\rb\x7f\r\n", login_joe + "<in [] ab><relay >"s},
    {"BehindTheOk", "+OK\r\n+OK\r\n+OK in\r\n+OK 2 320\r\n", login_joe + "<in [] in><relay +OK 2 320\r\n>"s},
};
INSTANTIATE_TEST_SUITE_P(WaysIn, Pop3BackConversation, testing::ValuesIn(ways_in));

const Conversation xclients[] = {
    {"Xclient",
     "+OK [XCLIENT] hi\r\n+OK Updated\r\n+OK\r\n+OK in\r\n",
     xclient + (login_joe + "<in [] in><relay >"s),
     {.xclient = true}},
    {"XclientIsRefused",
     "+OK [XCLIENT] hi\r\n-ERR [SYS/PERM] no\r\n+OK\r\n+OK in\r\n",
     xclient + (login_joe + "<in [] in><relay >"s),
     {.xclient = true}},
    {"XclientBeforeUtf8AndAuth",
     "+OK [xclient]\r\n+OK\r\n+OK\r\n+ \r\n+OK in\r\n",
     xclient + "UTF8\r\nAUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<in [] in><relay >"s,
     {.master = "root", .xclient = true, .utf8 = true}},
    {"XclientThenRefusedUser",
     "+OK [XCLIENT] hi\r\n+OK\r\n-ERR [IN-USE] x\r\n",
     xclient + (user + "<refused 4 [IN-USE] x>"s),
     {.xclient = true}},
    {"XclientIsNotOffered", "+OK XCLIENT\r\n+OK\r\n+OK in\r\n", login_joe + "<in [] in><relay >"s, {.xclient = true}},
    {"XclientIsNotWanted", "+OK [XCLIENT] hi\r\n+OK\r\n+OK in\r\n", login_joe + "<in [] in><relay >"s},
    {"XclientsAnswerIsMissing",
     "+OK [XCLIENT] hi\r\n+ \r\n",
     xclient + (user + "<failed garbage: what should be its answer to XCLIENT is not POP3's>"s),
     {.xclient = true}},
};
INSTANTIATE_TEST_SUITE_P(Xclient, Pop3BackConversation, testing::ValuesIn(xclients));

// The numbers are RefusalCause's: 0 Credentials, 1 Unavailable, 4 Passed.
const Conversation refusals[] = {
    {"Bare", "+OK\r\n+OK\r\n-ERR user joe is unknown\r\n", login_joe + "<refused 0 [] >"s},
    {"Auth", "+OK\r\n+OK\r\n-ERR [AUTH] Account of joe\r\n", login_joe + "<refused 0 [] >"s},
    {"Temporary", "+OK\r\n+OK\r\n-ERR [SYS/TEMP] mailbox is moving\r\n",
     login_joe + "<refused 4 [SYS/TEMP] mailbox is moving maybe>"s},
    {"Permanent", "+OK\r\n+OK\r\n-ERR [sys/perm] broken\r\n", login_joe + "<refused 4 [sys/perm] broken>"s},
    {"InUse", "+OK\r\n+OK\r\n-ERR [IN-USE] locked\r\n", login_joe + "<refused 4 [IN-USE] locked>"s},
    {"LoginDelay", "+OK\r\n+OK\r\n-ERR [LOGIN-DELAY] wait\r\n", login_joe + "<refused 4 [LOGIN-DELAY] wait>"s},
    {"OtherCode", "+OK\r\n+OK\r\n-ERR [X-WHY/NOT]no\r\n", login_joe + "<refused 4 [X-WHY/NOT] no>"s},
    {"NoCodeAtAll", "+OK\r\n+OK\r\n-ERR [user joe] no\r\n", login_joe + "<refused 0 [] >"s},
    {"UserTemporary", "+OK\r\n-ERR [SYS/TEMP] later\r\n", user + "<refused 4 [SYS/TEMP] later maybe>"s},
    // RFC 1939 lets a mail server say already here that it does not know the user.
    {"UserIsUnknown", "+OK\r\n-ERR never heard of joe\r\n+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n",
     user + "CAPA\r\n<refused 0 [] >"s},
    {"UserIsUnknownWithoutCapa", "+OK\r\n-ERR [AUTH] never heard of joe\r\n-ERR what\r\n",
     user + "CAPA\r\n<refused 0 [] >"s},
    {"UserIsDisabled", "+OK\r\n-ERR use AUTH\r\n+OK\r\nTOP\r\nSASL LOGIN PLAIN\r\n.\r\n+ \r\n+OK in\r\n",
     user + "CAPA\r\nAUTH PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n<in [] in><relay >"s},
    {"Master",
     "+OK\r\n+ \r\n-ERR [AUTH] no\r\n",
     "AUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<refused 0 [] >",
     {.master = "root"}},
    {"MasterTemporaryBeforeItsMessage",
     "+OK\r\n-ERR [SYS/TEMP] no\r\n",
     "AUTH PLAIN\r\n<refused 4 [SYS/TEMP] no maybe>",
     {.master = "root"}},
    {"XOAuth2HearsItsReason",
     "+OK\r\n+ \r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\n-ERR [AUTH] no\r\n",
     "AUTH XOAUTH2\r\ndXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n<refused 0 [] >",
     {.mechanism = Mechanism::XOAuth2}},
    {"OAuthBearerHearsItsReason",
     "+OK\r\n+ \r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\n-ERR no\r\n",
     "AUTH OAUTHBEARER\r\nbixhPWpvZSwBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\nAQ==\r\n<refused 0 [] >",
     {.mechanism = Mechanism::OAuthBearer}},
    // Nobody can have that password where there is no way to say it.
    {"LineBreakWithoutPlain",
     "+OK\r\n-ERR what\r\n",
     "AUTH PLAIN\r\n<refused 0 [] >",
     {.password = "secret\r\nDELE 1"}},
    {"LineBreakWithLoginByRoute",
     "+OK\r\n",
     "<refused 0 [] >",
     {.password = "secret\r\nDELE 1", .mechanism = Mechanism::Login}},
    {"TextHoldsThePassword", "+OK\r\n+OK\r\n-ERR [IN-USE] PASS secret\r\n", login_joe + "<refused 4 [IN-USE] >"s},
    {"TextHoldsThePasswordBetweenControls",
     "+OK\r\n+OK\r\n-ERR [IN-USE] se\x01"
     "cret\r\n",
     login_joe + "<refused 4 [IN-USE] >"s},
    {"CodeHoldsThePassword", "+OK\r\n+OK\r\n-ERR [secret] no\r\n", login_joe + "<refused 4 [] no>"s},
    {"TextHoldsThePasswordInBase64",
     "+OK\r\n+ \r\n-ERR [X] got am9lAHJvb3QAc2VjcmV0\r\n",
     "AUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n<refused 4 [X] >",
     {.master = "root"}},
    {"WelcomeHoldsThePassword", "+OK\r\n+OK\r\n+OK PASS secret\r\n", login_joe + "<in [] ><relay >"s},
    {"NothingIsReadBehindIt", "+OK\r\n+OK\r\n-ERR x\r\n+OK in\r\n", login_joe + "<refused 0 [] >"s},
};
INSTANTIATE_TEST_SUITE_P(Refusals, Pop3BackConversation, testing::ValuesIn(refusals));

constexpr char bad_greeting[] = "<failed garbage: what should be its greeting is not POP3's>";
constexpr char bad_answer[] = "<failed garbage: what should be its answer to the login is not POP3's>";

std::string many_lines(size_t count) {
  std::string lines;
  for (size_t i = 0; i < count; ++i)
    lines += "X-SOMETHING\r\n";
  return lines;
}

const Conversation failures[] = {
    {"GreetingIsErr", "-ERR too many connections\r\n", "<failed bye: the mail server greets with -ERR>"},
    {"GreetingOfSmtp", "220 mail.example.test ESMTP\r\n", bad_greeting},
    {"GreetingOfImap", "* OK ready\r\n", bad_greeting},
    {"GreetingIsEmpty", "\r\n", bad_greeting},
    {"GreetingGoesOn", "+ OK\r\n", bad_greeting},
    {"GarbageAnswer", "+OK\r\n\x16\x03\x01\r\n", user + std::string(bad_answer)},
    {"PlusBehindUser", "+OK\r\n+ \r\n", user + std::string(bad_answer)},
    {"PlusBehindPass", "+OK\r\n+OK\r\n+ \r\n", login_joe + std::string(bad_answer)},
    {"OkBeforeTheMessage", "+OK\r\n+OK in\r\n", "AUTH PLAIN\r\n"s + bad_answer, {.master = "root"}},
    {"PlusBehindTheMessage",
     "+OK\r\n+ \r\n+ \r\n",
     "AUTH PLAIN\r\nam9lAHJvb3QAc2VjcmV0\r\n"s + bad_answer,
     {.master = "root"}},
    {"PlusBehindTheReason",
     "+OK\r\n+ \r\n+ e30=\r\n+ e30=\r\n",
     "AUTH XOAUTH2\r\ndXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n"s + bad_answer,
     {.mechanism = Mechanism::XOAuth2}},
    {"MasterWithoutPlain",
     "+OK\r\n-ERR [AUTH] what\r\n",
     "AUTH PLAIN\r\n<failed no-mechanism: the mail server does not take AUTH PLAIN>",
     {.master = "root"}},
    {"TokenWithoutMechanism",
     "+OK\r\n-ERR what\r\n",
     "AUTH OAUTHBEARER\r\n<failed no-mechanism: the mail server does not take AUTH OAUTHBEARER>",
     {.mechanism = Mechanism::OAuthBearer}},
    {"UserWantsTls", "+OK\r\n-ERR [AUTH] not in clear\r\n+OK\r\nSTLS\r\nSASL\r\n.\r\n",
     user + "CAPA\r\n<failed no-tls: the mail server wants TLS for a login; set tls for its pool>"s},
    {"NeitherUserNorPlain", "+OK\r\n-ERR no\r\n+OK\r\nSASL GSSAPI\r\n.\r\n",
     user + "CAPA\r\n<failed no-mechanism: the mail server takes neither USER nor AUTH PLAIN>"s},
    {"UserByRouteIsDisabled",
     "+OK\r\n-ERR no\r\n+OK\r\nSASL PLAIN\r\n.\r\n",
     user + "CAPA\r\n<failed no-mechanism: the mail server takes neither USER nor AUTH PLAIN>"s,
     {.mechanism = Mechanism::Login}},
    {"Utf8IsRefused",
     "+OK\r\n-ERR what\r\n",
     "UTF8\r\n<failed bad: the mail server refuses UTF8, which the mail program was promised>",
     {.utf8 = true}},
    {"Nul",
     "+OK\r\n",
     "<failed no-mechanism: POP3 cannot carry a name or a password with NUL in it>",
     {.password = "a\0b"s}},
    {"EndlessLine", std::string(9000, 'x'), "<failed too-much: a line is longer than a login can need>"},
    {"EndlessList",
     "+OK\r\n+OK\r\n" + many_lines(200),
     "CAPA\r\n<failed too-much: there is more to read than a login can need>",
     {.probe = true}},
};
INSTANTIATE_TEST_SUITE_P(Failures, Pop3BackConversation, testing::ValuesIn(failures));

const Conversation probes[] = {
    {"Probe",
     "+OK [XCLIENT] hi\r\n+OK list\r\nTOP\r\nUTF8 USER\r\nSASL PLAIN\r\n.\r\n+OK bye\r\n",
     "CAPA\r\nQUIT\r\n<learned TOP\nUTF8 USER\nSASL PLAIN>",
     {.probe = true, .xclient = true, .utf8 = true}},
    {"ProbeUnstuffsDots",
     "+OK\r\n+OK\r\n..X\r\nA\tB\r\n.TOP\r\n\r\n.\r\n",
     "CAPA\r\nQUIT\r\n<learned .X\nTOP\n>",
     {.probe = true}},
    {"ProbeOfEmptyList", "+OK\r\n+OK\r\n.\r\n", "CAPA\r\nQUIT\r\n<learned >", {.probe = true}},
    {"ProbeWithoutCapa", "+OK\r\n-ERR what\r\n", "CAPA\r\nQUIT\r\n<learned >", {.probe = true}},
    {"ProbeOfBusyServer", "-ERR full\r\n", "<failed bye: the mail server greets with -ERR>", {.probe = true}},
    {"ProbeOfGarbage",
     "+OK\r\nTOP\r\n",
     "CAPA\r\n<failed garbage: what should be its answer to CAPA is not POP3's>",
     {.probe = true}},
};
INSTANTIATE_TEST_SUITE_P(Probes, Pop3BackConversation, testing::ValuesIn(probes));

TEST(Pop3Back, StartsTls) {
  Play play(login_of(Who{}), identity_of({.xclient = true}), BackTlsPlan::StartTls);
  play.feed("+OK [XCLIENT] hi\r\n+OK go\r\n");
  EXPECT_EQ(play.transcript(), "STLS\r\n<tls>");
  play.back().tls_started();
  play.feed("");
  play.feed("+OK\r\n+OK\r\n+OK in\r\n");
  EXPECT_EQ(play.transcript(), "STLS\r\n<tls>"s + xclient + login_joe + "<in [] in><relay >");
}

TEST(Pop3Back, ProbesInsideTls) {
  Play play(login_of(Who{.probe = true}), {}, BackTlsPlan::StartTls);
  play.feed("+OK hi\r\n+OK go\r\n");
  play.back().tls_started();
  play.feed("");
  play.feed("+OK\r\nTOP\r\n.\r\n");
  EXPECT_EQ(play.transcript(), "STLS\r\n<tls>CAPA\r\nQUIT\r\n<learned TOP>");
}

TEST(Pop3Back, TakesNothingInClearBehindStls) {
  const std::string injected = "<failed no-tls: bytes came in clear where the TLS handshake should begin>";
  Play glued(login_of(Who{}), {}, BackTlsPlan::StartTls);
  glued.feed("+OK hi\r\n+OK go\r\n+OK\r\n");
  EXPECT_EQ(glued.transcript(), "STLS\r\n" + injected);
  Play later(login_of(Who{}), {}, BackTlsPlan::StartTls);
  later.feed("+OK hi\r\n+OK go\r\n");
  later.feed("+");
  EXPECT_EQ(later.transcript(), "STLS\r\n<tls>" + injected);
}

TEST(Pop3Back, SendsNoPasswordWithoutTheTlsThatIsWanted) {
  const std::pair<const char*, const char*> servers[] = {
      {"+OK hi\r\n-ERR [SYS/TEMP] not now\r\n",
       "STLS\r\n<failed no-tls: the mail server refuses STLS, which its pool wants>"},
      {"+OK hi\r\nwhat\r\n", "STLS\r\n<failed garbage: what should be its answer to STLS is not POP3's>"},
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

// What cannot be a word of XCLIENT's is left out, and without an address there is nothing to say.
TEST(Pop3Back, SaysOnlyWhatFitsIntoXclient) {
  BackIdentity odd = identity_of({.xclient = true});
  odd.session_id = "a b";
  Play play(login_of(Who{}), odd, BackTlsPlan::None);
  play.feed("+OK [XCLIENT]\r\n");
  EXPECT_EQ(play.transcript(), "XCLIENT ADDR=2001:db8::7 PORT=4711 TTL=5\r\nUSER joe\r\n");
  odd.front_address.clear();
  Play nameless(login_of(Who{}), odd, BackTlsPlan::None);
  nameless.feed("+OK [XCLIENT]\r\n");
  EXPECT_EQ(nameless.transcript(), user);
}

TEST(Pop3Back, SaysWhereTheConnectionEnded) {
  Play play(login_of(Who{}), identity_of({.xclient = true}), BackTlsPlan::None);
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its greeting");
  play.feed("+OK [XCLIENT] hi\r\n");
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its answer to XCLIENT");
  play.feed("+OK\r\n");
  EXPECT_EQ(play.back().closed().detail, "the mail server closed the connection before its answer to the login");
}

// What comes after LoggedIn belongs to the mail program, also when it comes in pieces.
TEST(Pop3Back, KeepsWhatFollowsTheLogin) {
  Play play(login_of(Who{}), {}, BackTlsPlan::None);
  play.feed("+OK\r\n+OK\r\n+OK in\r\n+OK 2");
  play.feed(" 320\r\n");
  EXPECT_EQ(play.transcript(), login_joe + "<in [] in><relay +OK 2 320\r\n>"s);
}

}  // namespace
}  // namespace postern::pop3
