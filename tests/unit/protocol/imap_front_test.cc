// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations of a mail program with imap::Front, each in every cut: what is said back, and what is asked of whom.
#include "protocol/imap/front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conversation.h"

namespace postern::imap {
namespace {

using protocol::Accepted;
using protocol::Credentials;
using protocol::FrontOptions;
using protocol::Refusal;
using protocol::RefusalCause;
using test::Answer;
using test::in_clear;
using test::inside_tls;
using test::nobody_asks;
using test::refuse;
using test::times;
using testing::EndsWith;
using Conversation = test::FrontTalk<Front>;
using Play = test::FrontPlay<Front>;

constexpr char relay_joe[] = "<LOGIN joe secret>a1 OK Logged in\r\n<relay >";

class FrontConversation : public testing::TestWithParam<Conversation> {};

TEST_P(FrontConversation, IsTheSameInEveryCut) {
  test::expect_in_every_cut(GetParam());
}

using std::string_literals::operator""s;

const Conversation any_state[] = {
    {"Capability", "a1 CAPABILITY\r\n",
     "* CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN AUTH=LOGIN\r\na1 OK That is all before login\r\n"},
    {"CapabilityInClear", "a1 CAPABILITY\r\n",
     "* CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID STARTTLS LOGINDISABLED\r\na1 OK That is all before login\r\n",
     in_clear()},
    {"LowerCaseAndOneLetterTag", "1 capability\r\n2 LoGiN joe secret\r\n",
     "* CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN AUTH=LOGIN\r\n1 OK That is all before login\r\n"
     "<LOGIN joe secret>2 OK Logged in\r\n<relay >"},
    {"Noop", "a1 NOOP\r\n", "a1 OK Nothing done\r\n"},
    {"BareLineFeed", "a1 NOOP\na2 LOGIN joe {6}\nsecret\n",
     "a1 OK Nothing done\r\n+ Go on\r\n<LOGIN joe secret>a2 OK Logged in\r\n<relay >"},
    {"BlankBehindCommand", "a1 NOOP \r\n", "a1 OK Nothing done\r\n"},
    {"ManyNoopsAreNoErrors", times(50, "a1 NOOP\r\n"), times(50, "a1 OK Nothing done\r\n")},
    {"Logout", "a1 LOGOUT\r\na2 NOOP\r\n", "* BYE Until next time\r\na1 OK Logged out\r\n<goodbye 0>"},
    {"IdNil", "a1 ID NIL\r\n", "* ID (\"name\" \"Postern\")\r\na1 OK Pleased to meet you\r\n"},
    {"IdEmptyList", "a1 ID ()\r\n", "* ID (\"name\" \"Postern\")\r\na1 OK Pleased to meet you\r\n"},
    {"IdNilValues", "a1 ID (\"name\" \"Mailer\" \"os\" NIL \"x-originating-ip\" nil)\r\n",
     "* ID (\"name\" \"Postern\")\r\na1 OK Pleased to meet you\r\n"},
    {"IdLiterals", "a1 ID ({4}\r\nname {3+}\r\nM\r\n \"os\" {0}\r\n)\r\n",
     "+ Go on\r\n+ Go on\r\n* ID (\"name\" \"Postern\")\r\na1 OK Pleased to meet you\r\n"},
    {"IdWithoutValue", "a1 ID (\"name\")\r\n", "a1 BAD ID takes NIL or a list of pairs\r\n"},
    {"IdNested", "a1 ID ((\"name\" \"x\"))\r\n", "a1 BAD ID takes NIL or a list of pairs\r\n"},
    {"IdWithTooManyPairs", "a1 ID (" + times(30, "\"a\" \"b\" ") + "\"a\" \"b\")\r\n",
     "a1 BAD ID takes NIL or a list of pairs\r\n"},
    {"IdWithLongName", "a1 ID (\"" + times(31, "n") + "\" \"b\")\r\n", "a1 BAD ID takes NIL or a list of pairs\r\n"},
    {"IdWithLongValue", "a1 ID (\"n\" \"" + times(1025, "v") + "\")\r\n", "a1 BAD ID takes NIL or a list of pairs\r\n"},
    {"SelectBeforeLogin", "a1 SELECT INBOX\r\na2 idle\r\na3 ENABLE UTF8=ACCEPT\r\na4 CHECK\r\na5 UID FETCH 1 FLAGS\r\n",
     "a1 BAD Log in first\r\na2 BAD Log in first\r\na3 BAD Log in first\r\na4 BAD Log in first\r\na5 BAD Log in "
     "first\r\n"},
    {"AppendsLiteralIsNotAskedFor", "a1 APPEND INBOX {9}\r\na2 NOOP\r\n",
     "a1 BAD Log in first\r\na2 OK Nothing done\r\n"},
};
INSTANTIATE_TEST_SUITE_P(AnyState, FrontConversation, testing::ValuesIn(any_state));

const Conversation logins[] = {
    {"Atoms", "a1 LOGIN joe secret\r\n", relay_joe},
    {"Quoted", "a1 LOGIN \"joe\" \"secret\"\r\n", relay_joe},
    {"WaitingLiterals", "a1 LOGIN {3}\r\njoe {6}\r\nsecret\r\n", "+ Go on\r\n+ Go on\r\n"s + relay_joe},
    {"UnaskedLiterals", "a1 LOGIN {3+}\r\njoe {6+}\r\nsecret\r\n", relay_joe},
    {"LiteralAndAtom", "a1 LOGIN {3+}\r\njoe secret\r\n", relay_joe},
    {"AtomAndLiteral", "a1 LOGIN joe {6}\r\nsecret\r\n", "+ Go on\r\n"s + relay_joe},
    {"EscapesInQuotes",
     R"(a1 LOGIN "te\\\"st" "se\\\"cret")"
     "\r\n",
     R"(<LOGIN te\"st se\"cret>a1 OK Logged in)"
     "\r\n<relay >"},
    {"NoEscapesInLiteralOrAtom", "a1 LOGIN {9}\r\nuser\\name \"pass\\\"word\"\r\n",
     "+ Go on\r\n<LOGIN user\\name pass\"word>a1 OK Logged in\r\n<relay >"},
    {"AtomFullOfSpecials", "a1 LOGIN joe+tag=x/y!z@example.test p]a}s+s(w*o%r)d\\&#$\r\n",
     "<LOGIN joe+tag=x/y!z@example.test p]a}s+s(w*o%r)d\\&#$>a1 OK Logged in\r\n<relay >"},
    {"Utf8Everywhere",
     "a1 LOGIN j\xc3\xb6 \"r\xc3\xa9"
     "ception \xff\"\r\n",
     "<LOGIN j\xc3\xb6 r\xc3\xa9"
     "ception \xff>a1 OK Logged in\r\n<relay >"},
    {"BlanksAndBracesInQuotes", "a1 LOGIN \"joe\" \" pass {3} {4+}\"\r\n",
     "<LOGIN joe  pass {3} {4+}>a1 OK Logged in\r\n<relay >"},
    {"LineEndsInLiteral", "a1 LOGIN joe {6+}\r\n\r\na\r\n\n\r\n", "<LOGIN joe \r\na\r\n\n>a1 OK Logged in\r\n<relay >"},
    {"LiteralThatLooksLikeAnnouncement", "a1 LOGIN joe {6+}\r\n{3}\r\nx\r\n",
     "<LOGIN joe {3}\r\nx>a1 OK Logged in\r\n<relay >"},
    {"LegalTag", "A.1]-_/:;<=>?@~ LOGIN joe secret\r\n", "<LOGIN joe secret>A.1]-_/:;<=>?@~ OK Logged in\r\n<relay >"},
    {"PipelinedBehind", "a1 LOGIN joe secret\r\na2 NOOP\r\na3 LOGOUT\r\n",
     "<LOGIN joe secret>a1 OK Logged in\r\n<relay a2 NOOP\r\na3 LOGOUT\r\n>"},
    {"RefusedAndAgain", "a1 LOGIN joe wrong\r\na2 NOOP\r\n",
     "<LOGIN joe wrong>a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\na2 OK Nothing done\r\n",
     inside_tls(), refuse},
    {"EmptyPassword", "a1 LOGIN joe \"\"\r\na2 NOOP\r\n",
     "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"EmptyLiteralPassword", "a1 LOGIN joe {0+}\r\n\r\na2 NOOP\r\n",
     "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"EmptyWaitingLiteral", "a1 LOGIN {0}\r\n \"x\"\r\na2 NOOP\r\n",
     "+ Go on\r\na1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\na2 OK Nothing done\r\n", inside_tls(),
     nobody_asks},
    {"InClear",
     "a1 LOGIN {16}\r\na2 LOGIN joe secret\r\na3 AUTHENTICATE PLAIN\r\na4 LOGIN {3+}\r\njoe {6+}\r\nsecret\r\n",
     "a1 NO [PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear\r\n"
     "a2 NO [PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear\r\n"
     "a3 NO [PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear\r\n"
     "a4 NO [PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear\r\n",
     in_clear(), nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Login, FrontConversation, testing::ValuesIn(logins));

// AGpvZQBzZWNyZXQ= is NUL joe NUL secret; with both identities it is am9lAGpvZQBzZWNyZXQ=.
const Conversation authentications[] = {
    {"PlainInOneLine", "a1 AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\na2 NOOP\r\n",
     "<PLAIN joe secret>a1 OK Logged in\r\n<relay a2 NOOP\r\n>"},
    {"PlainInTwo", "a1 authenticate plain\r\nAGpvZQBzZWNyZXQ=\r\n",
     "+ \r\n<PLAIN joe secret>a1 OK Logged in\r\n<relay >"},
    {"PlainSameIdentityTwice", "a1 AUTHENTICATE PLAIN am9lAGpvZQBzZWNyZXQ=\r\n",
     "<PLAIN joe secret>a1 OK Logged in\r\n<relay >"},
    {"PlainForSomeoneElse", "a1 AUTHENTICATE PLAIN YW5uAGpvZQBzZWNyZXQ=\r\n",
     "<PLAIN joe as ann secret>a1 OK Logged in\r\n<relay >"},
    {"Login", "a1 AUTHENTICATE LOGIN\r\nam9l\r\nc2VjcmV0\r\n",
     "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n<LOGIN joe secret>a1 OK Logged in\r\n<relay >"},
    {"LoginWithName", "a1 AUTHENTICATE LOGIN am9l\r\nc2VjcmV0\r\n",
     "+ UGFzc3dvcmQ6\r\n<LOGIN joe secret>a1 OK Logged in\r\n<relay >"},
    {"LoginWithoutPassword", "a1 AUTHENTICATE LOGIN am9l\r\n\r\n",
     "+ UGFzc3dvcmQ6\r\na1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n", inside_tls(), nobody_asks},
    {"LoginWithoutName", "a1 AUTHENTICATE LOGIN =\r\nc2VjcmV0\r\n",
     "+ UGFzc3dvcmQ6\r\na1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n", inside_tls(), nobody_asks},
    {"CancelledThenRight", "a1 AUTHENTICATE PLAIN\r\n*\r\na2 AUTHENTICATE PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n",
     "+ \r\na1 BAD Authentication cancelled\r\n+ \r\n<PLAIN joe secret>a2 OK Logged in\r\n<relay >"},
    {"CancelledAtThePassword", "a1 AUTHENTICATE LOGIN am9l\r\n*\r\na2 AUTHENTICATE LOGIN\r\n*\r\n",
     "+ UGFzc3dvcmQ6\r\na1 BAD Authentication cancelled\r\n+ VXNlcm5hbWU6\r\na2 BAD Authentication cancelled\r\n",
     inside_tls(), nobody_asks},
    {"BadBase64",
     "a1 AUTHENTICATE PLAIN =AAA\r\na2 AUTHENTICATE PLAIN AAA=BBB\r\na3 AUTHENTICATE PLAIN @@@@\r\n"
     "a4 AUTHENTICATE PLAIN\r\nAAA\r\na5 AUTHENTICATE PLAIN *\r\n",
     "a1 BAD That is not base64\r\na2 BAD That is not base64\r\na3 BAD That is not base64\r\n"
     "+ \r\na4 BAD That is not base64\r\na5 BAD That is not base64\r\n",
     inside_tls(), nobody_asks},
    {"PlainMalformed", "a1 AUTHENTICATE PLAIN =\r\na2 AUTHENTICATE PLAIN am9l\r\na3 AUTHENTICATE PLAIN AAAAAA==\r\n",
     "a1 BAD That is not what the mechanism says\r\na2 BAD That is not what the mechanism says\r\n"
     "a3 BAD That is not what the mechanism says\r\n",
     inside_tls(), nobody_asks},
    {"PlainWithoutPassword", "a1 AUTHENTICATE PLAIN AGpvZQA=\r\n",
     "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n", inside_tls(), nobody_asks},
    {"OtherMechanism", "a1 AUTHENTICATE CRAM-MD5\r\na2 AUTHENTICATE\r\na3 AUTHENTICATE {5}\r\n",
     "a1 NO That mechanism is not offered\r\na2 BAD AUTHENTICATE takes a mechanism\r\n"
     "a3 NO That mechanism is not offered\r\n",
     inside_tls(), nobody_asks},
    {"CommandInsteadOfAnswer", "a1 AUTHENTICATE PLAIN\r\na2 NOOP {5}\r\na3 NOOP\r\n",
     "+ \r\na1 BAD That is not base64\r\na3 OK Nothing done\r\n", inside_tls(), nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Authenticate, FrontConversation, testing::ValuesIn(authentications));

const Conversation starttls[] = {
    {"StartTls", "a1 STARTTLS\r\n", "a1 OK Begin the TLS handshake\r\n<tls>", in_clear()},
    {"StartTlsForgetsWhatFollows", "a1 STARTTLS\r\na2 LOGIN joe secret\r\n", "a1 OK Begin the TLS handshake\r\n<tls>",
     in_clear(), nobody_asks},
    {"StartTlsTwice", "a1 STARTTLS\r\n", "a1 BAD TLS is active already\r\n"},
    {"StartTlsNotOffered", "a1 STARTTLS\r\n", "a1 BAD STARTTLS is not offered here\r\n", FrontOptions{}},
    {"StartTlsWithArgument", "a1 STARTTLS now\r\n", "a1 BAD STARTTLS takes no argument\r\n", in_clear()},
};
INSTANTIATE_TEST_SUITE_P(StartTls, FrontConversation, testing::ValuesIn(starttls));

const Conversation nonsense[] = {
    {"TagPlus", "+ NOOP\r\na2 NOOP\r\n", "* BAD That is no tag\r\na2 OK Nothing done\r\n"},
    {"TagWithFormat", "%n%n%s%n NOOP\r\na2 NOOP\r\n", "* BAD That is no tag\r\na2 OK Nothing done\r\n"},
    {"TagOfEightBits", "\xc3\xa9 NOOP\r\n", "* BAD That is no tag\r\n"},
    {"TagTooLong", times(257, "t") + " NOOP\r\n", "* BAD That is no tag\r\n"},
    {"TagJustLongEnough", times(256, "t") + " NOOP\r\n", times(256, "t") + " OK Nothing done\r\n"},
    {"EmptyLine", "\r\na1 NOOP\r\n", "* BAD That is no tag\r\na1 OK Nothing done\r\n"},
    {"TagAlone", "a1\r\na2 \r\n", "a1 BAD A command is missing\r\na2 BAD A command is missing\r\n"},
    {"UnknownCommand", "a1 FOOBAR\r\na2 <b>NOOP</b>\r\n", "a1 BAD Unknown command\r\na2 BAD Unknown command\r\n"},
    {"TooManyBadCommands", times(200, "a1 FOO\r\n"),
     times(10, "a1 BAD Unknown command\r\n") + "* BYE Too many bad commands\r\n<goodbye 1>"},
    {"TooManyRefusals", times(20, "a1 LOGIN joe wrong\r\n"),
     times(5, "<LOGIN joe wrong>a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n") +
         "* BYE Too many refused logins\r\n<goodbye 2>",
     inside_tls(), refuse},
    {"TooManyEmptyPasswords", times(20, "a1 LOGIN joe \"\"\r\n"),
     times(5, "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n") +
         "* BYE Too many refused logins\r\n<goodbye 2>",
     inside_tls(), nobody_asks},
    {"HttpRequest",
     "GET /<script>alert(1)</script> HTTP/1.1\r\nHost: mail.example.test\r\n" + times(30, "X-Field: y\r\n"),
     "<goodbye 4>"},
    {"HttpPostOfCommands", "POST / HTTP/1.1\r\n\r\na1 LOGIN joe secret\r\n", "<goodbye 4>", inside_tls(), nobody_asks},
    {"NulInQuotes", "a1 LOGIN \"jo\0e\\\"x\" \"secret\"\r\n"s, "a1 BAD LOGIN takes a user name and a password\r\n",
     inside_tls(), nobody_asks},
    {"NulInLiteral", "a1 LOGIN joe {3+}\r\na\0b\r\n"s, "a1 BAD LOGIN takes a user name and a password\r\n",
     inside_tls(), nobody_asks},
    {"NulInAtom", "a1 LOGIN joe a\0b\r\n"s, "a1 BAD LOGIN takes a user name and a password\r\n", inside_tls(),
     nobody_asks},
    {"LoginArguments",
     "a1 LOGIN\r\na2 LOGIN joe\r\na3 LOGIN joe secret more\r\na4 LOGIN  joe secret\r\na5 LOGIN joe  x\r\n"
     "a6 LOGIN \"joe\"\"secret\"\r\na7 LOGIN \"joe secret\r\na8 LOGIN \"j\\oe\" x\r\na9 LOGIN joe se\"cret\r\n",
     "a1 BAD LOGIN takes a user name and a password\r\na2 BAD LOGIN takes a user name and a password\r\n"
     "a3 BAD LOGIN takes a user name and a password\r\na4 BAD LOGIN takes a user name and a password\r\n"
     "a5 BAD LOGIN takes a user name and a password\r\na6 BAD LOGIN takes a user name and a password\r\n"
     "a7 BAD LOGIN takes a user name and a password\r\na8 BAD LOGIN takes a user name and a password\r\n"
     "a9 BAD LOGIN takes a user name and a password\r\n",
     inside_tls(), nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Nonsense, FrontConversation, testing::ValuesIn(nonsense));

const Conversation sizes[] = {
    {"LongLine", "a1 NOOP " + times(7900, "x") + "\r\na2 " + times(70000, "x"),
     "a1 BAD NOOP takes no argument\r\n* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"Parentheses", "a1 NOOP " + times(60000, "(") + "\r\n", "* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"LongestLine", "a1 NOOP" + times(8185, " ") + "\r\n", "a1 OK Nothing done\r\n"},
    {"LongSaslLine", "a1 AUTHENTICATE PLAIN\r\n" + times(12289, "A"),
     "+ \r\n* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"LongestSaslLine", "a1 AUTHENTICATE PLAIN\r\n" + times(12288, "A") + "\r\na2 NOOP\r\n",
     "+ \r\na1 BAD That is not what the mechanism says\r\na2 OK Nothing done\r\n"},
    {"LiteralCountOverflows", "a1 LOGIN {18446744073709551622}\r\na2 LOGIN {4294967302}\r\na3 NOOP\r\n",
     "a1 BAD [TOOBIG] Literal is too large\r\na2 BAD [TOOBIG] Literal is too large\r\na3 OK Nothing done\r\n"},
    {"UnaskedLiteralCountOverflows", "a1 LOGIN {18446744073709551622+}\r\na2 NOOP\r\n",
     "* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"LargestLiterals", "a1 LOGIN {4096+}\r\n" + times(4096, "u") + " {4096}\r\n" + times(4096, "p") + "\r\n",
     "+ Go on\r\n<LOGIN " + times(4096, "u") + " " + times(4096, "p") + ">a1 OK Logged in\r\n<relay >"},
    {"LiteralTooBig", "a1 LOGIN {4097}\r\na2 LOGIN joe {4097}\r\na3 NOOP\r\n",
     "a1 BAD [TOOBIG] Literal is too large\r\na2 BAD [TOOBIG] Literal is too large\r\na3 OK Nothing done\r\n"},
    {"BigLiteralIsSwallowed", "a1 LOGIN {5000+}\r\n" + times(500, "a9 NOOP\r\n\n") + " {6+}\r\nsecret\r\na2 NOOP\r\n",
     "a1 BAD [TOOBIG] Literal is too large\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"WaitingLiteralBehindSwallowed", "a1 LOGIN {5000+}\r\n" + times(5000, "x") + " {6}\r\na2 NOOP\r\n",
     "a1 BAD [TOOBIG] Literal is too large\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"BigLiteralOfRefusedLogin", "a1 LOGIN {5000+}\r\n" + times(5000, "x") + " pw\r\na2 NOOP\r\n",
     "a1 NO [PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear\r\na2 OK Nothing "
     "done\r\n",
     in_clear(), nobody_asks},
    {"HugeLiteral", "a1 LOGIN {65537+}\r\na2 NOOP\r\n", "* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"ManyBigLiterals", "a1 X " + times(14, "{5000+}\r\n" + times(5000, "x")),
     "* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"ManySmallLiterals", "a1 X" + times(2000, " {3+}\r\nabc"), "* BYE [TOOBIG] That is too long\r\n<goodbye 3>"},
    {"UnknownCommandsLiteral", "a3 FOOBAR {9+}\r\na9 NOOP\r\n\r\na4 NOOP\r\n",
     "a3 BAD Unknown command\r\na4 OK Nothing done\r\n"},
    {"UnknownCommandsWaitingLiteral", "a3 FOOBAR {9}\r\na4 NOOP\r\n",
     "a3 BAD Unknown command\r\na4 OK Nothing done\r\n"},
    {"BadTagsLiteral", "+ FOOBAR {9+}\r\na9 NOOP\r\n\r\na4 NOOP\r\n", "* BAD That is no tag\r\na4 OK Nothing done\r\n"},
    {"NothingBehindLiteralButSpace", "a1 LOGIN {3+}\r\njoe\"secret\"\r\na2 NOOP\r\n",
     "a1 BAD LOGIN takes a user name and a password\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"NothingBehindLastLiteral", "a1 LOGIN joe {6+}\r\nsecretx\r\na2 NOOP\r\n",
     "a1 BAD LOGIN takes a user name and a password\r\na2 OK Nothing done\r\n", inside_tls(), nobody_asks},
    {"ThirdLiteral", "a1 LOGIN joe secret {5}\r\na2 LOGIN joe secret{5}\r\na3 NOOP\r\n",
     "a1 BAD LOGIN takes a user name and a password\r\na2 BAD LOGIN takes a user name and a password\r\n"
     "a3 OK Nothing done\r\n",
     inside_tls(), nobody_asks},
    {"NoLiteralAtAll", "a1 LOGIN joe {5-}\r\na2 LOGIN joe {}\r\na3 LOGIN joe {+}\r\na4 LOGIN joe {x}\r\na5 NOOP\r\n",
     "a1 BAD LOGIN takes a user name and a password\r\na2 BAD LOGIN takes a user name and a password\r\n"
     "a3 BAD LOGIN takes a user name and a password\r\na4 BAD LOGIN takes a user name and a password\r\n"
     "a5 OK Nothing done\r\n",
     inside_tls(), nobody_asks},
};
INSTANTIATE_TEST_SUITE_P(Sizes, FrontConversation, testing::ValuesIn(sizes));

// What the mail program hears of each verdict.
TEST(Front, SaysEachRefusalInItsWords) {
  const std::pair<Refusal, std::string> spoken[] = {
      {{RefusalCause::Credentials}, "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"},
      {{RefusalCause::Unavailable},
       "a1 NO [UNAVAILABLE] Your login cannot be served right now; please try again later\r\n"},
      {{RefusalCause::Unavailable, {}, "back at noon"}, "a1 NO [UNAVAILABLE] back at noon\r\n"},
      {{RefusalCause::NotAllowed}, "a1 NO [AUTHORIZATIONFAILED] You may not log in here\r\n"},
      {{RefusalCause::Limit}, "a1 NO [LIMIT] Too many sessions of this user\r\n"},
      {{RefusalCause::Passed, "INUSE", "locked"}, "a1 NO [INUSE] locked\r\n"},
      {{RefusalCause::Passed, "", "no"}, "a1 NO no\r\n"},
      {{RefusalCause::Passed, "", ""}, "a1 NO The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "", "[ALERT] x"}, "a1 NO The mail server refuses this login\r\n"},
      {{RefusalCause::Passed, "X]\r\n* BYE", "a\r\n* BYE"}, "a1 NO a* BYE\r\n"},
      {{RefusalCause::Credentials, {}, {}, "* OK [ALERT] quota\r\n"},
       "* OK [ALERT] quota\r\na1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"},
  };
  for (const auto& [refusal, answer] : spoken) {
    Play play(inside_tls(), [verdict = Answer(refusal)](const Credentials&) { return verdict; });
    play.feed("a1 LOGIN joe x\r\n");
    EXPECT_EQ(play.transcript(), "<LOGIN joe x>" + answer);
  }
}

std::string accepted_with(std::string_view before, const Accepted& accepted) {
  Play play(inside_tls(), [&](const Credentials&) { return Answer(accepted); });
  play.feed(before);
  play.feed("a1 LOGIN joe x\r\n");
  const std::string transcript = play.transcript();
  return transcript.substr(transcript.find("<LOGIN"));
}

// A mail program that asked for CAPABILITY may not know the response code, so it hears the new list untagged.
TEST(Front, GivesTheMailServersCapabilitiesOnce) {
  EXPECT_EQ(accepted_with("", {"IMAP4rev1 IDLE", "Welcome", {}}),
            "<LOGIN joe x>a1 OK [CAPABILITY IMAP4rev1 IDLE] Welcome\r\n<relay >");
  EXPECT_EQ(accepted_with("a0 CAPABILITY\r\n", {"IMAP4rev1 IDLE", "Welcome", {}}),
            "<LOGIN joe x>* CAPABILITY IMAP4rev1 IDLE\r\na1 OK Welcome\r\n<relay >");
  EXPECT_EQ(accepted_with("", {"", "[X] Welcome", {}}), "<LOGIN joe x>a1 OK Logged in\r\n<relay >");
  EXPECT_EQ(accepted_with("", {"IMAP4rev1", "", "* OK [ALERT] quota\r\n"}),
            "<LOGIN joe x>* OK [ALERT] quota\r\na1 OK [CAPABILITY IMAP4rev1] Logged in\r\n<relay >");
}

TEST(Front, GreetsWithWhatIsTrueNow) {
  EXPECT_EQ(
      Front(inside_tls()).greeting(),
      "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN AUTH=LOGIN] mail.example.test Postern ready\r\n");
  EXPECT_EQ(
      Front(in_clear()).greeting(),
      "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID STARTTLS LOGINDISABLED] mail.example.test Postern ready\r\n");
  EXPECT_EQ(Front(FrontOptions{}).greeting(),
            "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID LOGINDISABLED] Postern ready\r\n");
  EXPECT_EQ(Front(inside_tls()).bye("Shutting\r\ndown"), "* BYE Shuttingdown\r\n");
}

// Bytes before STARTTLS came from anybody. The Front counts them for the log and forgets them, also what comes later.
TEST(Front, CountsWhatWasInjectedBehindStartTls) {
  Front front(in_clear());
  front.feed("a1 STARTTLS\r\na2 NOOP\r\n");
  const protocol::FrontEvent event = front.next();
  ASSERT_TRUE(std::holds_alternative<protocol::StartTls>(event));
  EXPECT_EQ(std::get<protocol::StartTls>(event).dropped, 9u);
  front.feed("a3 NOOP\r\n");
  EXPECT_TRUE(std::holds_alternative<protocol::NeedBytes>(front.next()));
  EXPECT_FALSE(front.wants_bytes());
  EXPECT_EQ(front.take_unread(), "");
}

// While the helper thinks, the mail program may go on talking, but not without end.
TEST(Front, StopsReadingWhileALoginIsPending) {
  Front front(inside_tls());
  front.feed("a1 LOGIN joe x\r\n");
  ASSERT_TRUE(std::holds_alternative<protocol::Login>(front.next()));
  const std::string noops = times(64, "a2 NOOP\r\n");
  size_t fed = 0;
  for (; front.wants_bytes(); fed += noops.size())
    front.feed(noops);
  EXPECT_GE(fed, protocol::unread_size_max);
  EXPECT_LT(fed, protocol::unread_size_max + noops.size());
  EXPECT_TRUE(std::holds_alternative<protocol::NeedBytes>(front.next()));
  front.accepted({});
  front.feed("last");
  const std::string unread = front.take_unread();
  EXPECT_EQ(unread.size(), fed + 4);
  EXPECT_THAT(unread, EndsWith("a2 NOOP\r\nlast"));
}

TEST(Front, IsSmall) {
  EXPECT_LE(sizeof(Front), 800u);
}

}  // namespace
}  // namespace postern::imap
