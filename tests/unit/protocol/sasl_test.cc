// SPDX-License-Identifier: GPL-3.0-or-later
// SASL without a dialect round it, and its base64. What a whole Front adds to tokens is shown with IMAP's.
#include <gtest/gtest.h>

#include "play.h"
#include "protocol/imap/front.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/exchange.h"
#include "protocol/sasl/message.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;
using std::string_literals::operator""s;

TEST(Base64, GoesThereAndBack) {
  std::string bytes;
  for (size_t size = 0; size < 300; ++size) {
    bytes.push_back(static_cast<char>(size * 7));
    std::string decoded;
    EXPECT_TRUE(base64_decode(base64_encode(bytes), decoded));
    EXPECT_EQ(decoded, bytes);
  }
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("\0joe\0secret"s), "AGpvZQBzZWNyZXQ=");
}

TEST(Base64, IsStrict) {
  for (const char* text :
       {"A", "AA", "AAA", "AAAAA", "=AAA", "AAA=BBB", "A===", "====", "@@@@", "AAA-", "AA A", "AAAA\r\n", "AA==AAAA"}) {
    std::string bytes = "old";
    EXPECT_FALSE(base64_decode(text, bytes)) << text;
    EXPECT_EQ(bytes, "");
  }
}

const Means usual{.mechanisms = protocol::Mechanisms::usual()};

TEST(Exchange, KnowsItsMechanisms) {
  EXPECT_TRUE(Exchange::of("PLAIN", usual));
  EXPECT_TRUE(Exchange::of("login", usual));
  for (const char* name : {"", "PLAIN ", "CRAM-MD5", "SCRAM-SHA-256", "EXTERNAL"})
    EXPECT_FALSE(Exchange::of(name, usual)) << name;
}

Step plain(std::string_view message) {
  return Exchange::of("PLAIN", usual)->begin(base64_encode(message));
}

TEST(Plain, TakesEveryByteButNul) {
  for (const std::string& password : {"secret"s, " \t\r\n\"\\{5}"s, "\xff\xfe"s, std::string(9000, 'p')}) {
    const Step step = plain("\0joe\0"s + password);
    ASSERT_TRUE(std::holds_alternative<Credentials>(step));
    EXPECT_EQ(std::get<Credentials>(step).user, "joe");
    EXPECT_EQ(std::get<Credentials>(step).password.reveal(), password);
  }
}

TEST(Plain, FailsAsItShould) {
  EXPECT_EQ(std::get<Failure>(plain("")), Failure::Malformed);
  EXPECT_EQ(std::get<Failure>(plain("joe")), Failure::Malformed);
  EXPECT_EQ(std::get<Failure>(plain("\0joe"s)), Failure::Malformed);
  EXPECT_EQ(std::get<Failure>(plain("\0joe\0a\0b"s)), Failure::Malformed);
  EXPECT_EQ(std::get<Failure>(plain("\0\0secret"s)), Failure::Empty);
  EXPECT_EQ(std::get<Failure>(plain("\0joe\0"s)), Failure::Empty);
  EXPECT_EQ(std::get<Failure>(plain("ann\0joe\0"s)), Failure::Empty);
}

TEST(Login, RefusesNul) {
  EXPECT_EQ(std::get<Failure>(Exchange::of("LOGIN", usual)->begin(base64_encode("jo\0e"s))), Failure::Malformed);
}

TEST(PlainMessage, IsWhatAnExchangeUnderstands) {
  protocol::BackLogin login;
  login.user = "ann";
  login.master = "joe";
  login.password = Secret(
      "s\xc3\xa9"
      "cret");
  const Secret message = client_message(login);
  const Step step = Exchange::of("PLAIN", usual)->begin(message.reveal());
  ASSERT_TRUE(std::holds_alternative<Credentials>(step));
  EXPECT_EQ(std::get<Credentials>(step).user, "joe");
  EXPECT_EQ(std::get<Credentials>(step).authzid, "ann");
  EXPECT_EQ(std::get<Credentials>(step).password.reveal(),
            "s\xc3\xa9"
            "cret");
}

// ---- Tokens and certificates ---------------------------------------------------------------------------------------

Means all_but_scram() {
  Means means = usual;
  means.mechanisms.add(Mechanism::OAuthBearer);
  means.mechanisms.add(Mechanism::XOAuth2);
  means.mechanisms.add(Mechanism::External);
  return means;
}
const Means tokens = all_but_scram();

Step initial(std::string_view mechanism, std::string_view message) {
  return Exchange::of(mechanism, tokens)->begin(base64_encode(message));
}

TEST(OAuthBearer, ReadsUserAndToken) {
  const std::pair<const char*, const char*> messages[] = {
      {"n,a=joe@example.test,\1host=mail.example.test\1port=143\1auth=Bearer vF9df+/~4.-_==\1\1", "joe@example.test"},
      {"n,,\1auth=Bearer vF9df+/~4.-_==\1\1", ""},
      {"y,a=j=2Co=3De,\1AUTH=bearer vF9df+/~4.-_==\1mthd=GET\1\1", "j,o=e"},
  };
  for (const auto& [message, user] : messages) {
    const Step step = initial("OAUTHBEARER", message);
    ASSERT_TRUE(std::holds_alternative<Credentials>(step)) << message;
    EXPECT_EQ(std::get<Credentials>(step).mechanism, Mechanism::OAuthBearer);
    EXPECT_EQ(std::get<Credentials>(step).user, user);
    EXPECT_EQ(std::get<Credentials>(step).authzid, "");
    EXPECT_EQ(std::get<Credentials>(step).password.reveal(), "vF9df+/~4.-_==");
  }
}

TEST(OAuthBearer, FailsAsItShould) {
  for (const std::string& message : {""s,
                                     "n"s,
                                     "n,"s,
                                     "n,a=joe"s,
                                     "n,a=joe,"s,
                                     "n,a=joe,\1"s,
                                     "n,a=joe,\1\1"s,
                                     "n,a=joe,\1auth=Bearer t"s,
                                     "n,a=joe,\1auth=Bearer t\1"s,
                                     "n,a=joe,\1auth=Bearer t\1\1\1"s,
                                     "n,a=joe,\1auth=Bearer t\1\1more"s,
                                     "n,a=joe,auth=Bearer t\1\1"s,
                                     "n,a=joe,\1auth=Basic t\1\1"s,
                                     "n,a=joe,\1auth=t\1\1"s,
                                     "n,a=joe,\1auth=Bearer t\1auth=Bearer u\1\1"s,
                                     "n,a=jo=2ce,\1auth=Bearer t\1\1"s,
                                     "n,joe,\1auth=Bearer t\1\1"s,
                                     "p=tls-exporter,a=joe,\1auth=Bearer t\1\1"s,
                                     "n,a=jo\0e,\1auth=Bearer t\1\1"s,
                                     "n,a=joe,\1auth=Bearer t\0u\1\1"s,
                                     "user=joe\1auth=Bearer t\1\1"s}) {
    const Step step = initial("OAUTHBEARER", message);
    ASSERT_TRUE(std::holds_alternative<Failure>(step)) << message;
    EXPECT_EQ(std::get<Failure>(step), Failure::Malformed) << message;
  }
  EXPECT_EQ(std::get<Failure>(initial("OAUTHBEARER", "n,a=joe,\1auth=Bearer \1\1")), Failure::Empty);
}

TEST(XOAuth2, ReadsUserAndToken) {
  const Step step = initial("xoauth2", "user=j=2C,e\1auth=Bearer ya29.tok\1\1");
  ASSERT_TRUE(std::holds_alternative<Credentials>(step));
  EXPECT_EQ(std::get<Credentials>(step).mechanism, Mechanism::XOAuth2);
  EXPECT_EQ(std::get<Credentials>(step).user, "j=2C,e");
  EXPECT_EQ(std::get<Credentials>(step).password.reveal(), "ya29.tok");
}

TEST(XOAuth2, FailsAsItShould) {
  for (const std::string& message :
       {""s, "user=joe"s, "user=joe\1"s, "user=joe\1\1"s, "user=joe\1auth=Bearer t"s, "user=joe\1auth=Bearer t\1"s,
        "user=joe\1auth=t\1\1"s, "name=joe\1auth=Bearer t\1\1"s, "user=jo\0e\1auth=Bearer t\1\1"s,
        "user=joe\1auth=Bearer \0\1\1"s, "n,a=joe,\1auth=Bearer t\1\1"s}) {
    const Step step = initial("XOAUTH2", message);
    ASSERT_TRUE(std::holds_alternative<Failure>(step)) << message;
    EXPECT_EQ(std::get<Failure>(step), Failure::Malformed) << message;
  }
  EXPECT_EQ(std::get<Failure>(initial("XOAUTH2", "user=\1auth=Bearer t\1\1")), Failure::Empty);
  EXPECT_EQ(std::get<Failure>(initial("XOAUTH2", "user=joe\1auth=Bearer \1\1")), Failure::Empty);
}

TEST(External, SaysWhomToActAsOrNothing) {
  Exchange asked = *Exchange::of("EXTERNAL", tokens);
  EXPECT_EQ(std::get<Challenge>(asked.begin(std::nullopt)).base64, "");
  for (const Step& step : {Exchange::of("EXTERNAL", tokens)->begin("="), asked.answer("")}) {
    ASSERT_TRUE(std::holds_alternative<Credentials>(step));
    EXPECT_EQ(std::get<Credentials>(step).mechanism, Mechanism::External);
    EXPECT_EQ(std::get<Credentials>(step).user, "");
    EXPECT_EQ(std::get<Credentials>(step).authzid, "");
    EXPECT_TRUE(std::get<Credentials>(step).password.empty());
  }
  EXPECT_EQ(std::get<Credentials>(initial("EXTERNAL", "ann@example.test")).authzid, "ann@example.test");
  EXPECT_EQ(std::get<Failure>(initial("EXTERNAL", "a\0n"s)), Failure::Malformed);
}

TEST(TokenMessage, IsWhatAnExchangeUnderstands) {
  for (const auto mechanism : {Mechanism::OAuthBearer, Mechanism::XOAuth2}) {
    for (const char* user : {"j,o=e", ""}) {
      const protocol::BackLogin login{.user = user, .password = Secret("tok"), .mechanism = mechanism};
      const Secret message = client_message(login);
      const Step step = Exchange::of(protocol::mechanism_word(mechanism), tokens)->begin(message.reveal());
      if (mechanism == Mechanism::XOAuth2 && login.user.empty()) {
        EXPECT_EQ(std::get<Failure>(step), Failure::Empty);
        continue;
      }
      ASSERT_TRUE(std::holds_alternative<Credentials>(step));
      EXPECT_EQ(std::get<Credentials>(step).user, user);
      EXPECT_EQ(std::get<Credentials>(step).password.reveal(), "tok");
    }
  }
  // RFC 7628, section 3.1: gs2-header; an authzid of nothing is left out.
  const protocol::BackLogin nobody{.password = Secret("tok"), .mechanism = Mechanism::OAuthBearer};
  EXPECT_EQ(client_message(nobody).reveal(), base64_encode("n,,\1auth=Bearer tok\1\1"));
  EXPECT_EQ(client_message({.user = "ann", .mechanism = Mechanism::External}).reveal(), "YW5u");
  EXPECT_EQ(client_message({.mechanism = Mechanism::External}).reveal(), "=");
}

// ---- Through a whole Front -----------------------------------------------------------------------------------------

protocol::FrontOptions front_options() {
  return {.tls_active = true, .login_allowed = true, .means = tokens};
}

std::optional<std::string> imap_differs(std::string_view input, const test::Answer& verdict,
                                        std::string_view expected) {
  const auto answer = [&verdict](const Credentials&) { return verdict; };
  return test::front_differs<imap::Front>(front_options(), input, answer, expected);
}

const test::Answer wrong_token = Refusal{RefusalCause::Credentials};

// RFC 7628, section 3.2.3: first the reason, then whatever the mail program says to it, then the refusal.
TEST(Token, IsRefusedInTwoSteps) {
  const std::string reason = "+ " + base64_encode("{\"status\":\"invalid_token\"}") + "\r\n";
  const std::string refusal = "a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n";
  const std::string bearer = "a1 AUTHENTICATE OAUTHBEARER " + base64_encode("n,a=joe,\1auth=Bearer tok\1\1") + "\r\n";
  const std::string google = "a1 AUTHENTICATE XOAUTH2\r\n" + base64_encode("user=joe\1auth=Bearer tok\1\1") + "\r\n";
  for (const char* answer : {"AQ==\r\n", "\r\n", "*\r\n", "rubbish\r\n"}) {
    EXPECT_EQ(imap_differs(bearer + answer + "a2 NOOP\r\n", wrong_token,
                           "<OAUTHBEARER joe tok>" + reason + refusal + "a2 OK Nothing done\r\n"),
              std::nullopt);
    EXPECT_EQ(imap_differs(google + answer + "a2 NOOP\r\n", wrong_token,
                           "+ \r\n<XOAUTH2 joe tok>" + reason + refusal + "a2 OK Nothing done\r\n"),
              std::nullopt);
  }
}

// Nothing is wrong with the token then, so the mail program must not throw it away.
TEST(Token, IsNotBlamedForATemporaryFailure) {
  const std::string bearer = "a1 AUTHENTICATE OAUTHBEARER " + base64_encode("n,a=joe,\1auth=Bearer tok\1\1") + "\r\n";
  EXPECT_EQ(imap_differs(bearer, test::Answer(Refusal{RefusalCause::Unavailable, {}, "later"}),
                         "<OAUTHBEARER joe tok>a1 NO [UNAVAILABLE] later\r\n"),
            std::nullopt);
  EXPECT_EQ(imap_differs(bearer, test::Answer(Refusal{RefusalCause::Limit, {}, "enough"}),
                         "<OAUTHBEARER joe tok>a1 NO [LIMIT] enough\r\n"),
            std::nullopt);
}

TEST(Token, RefusalsHaveTheirLimit) {
  const std::string bearer = "a1 AUTHENTICATE OAUTHBEARER " + base64_encode("n,a=joe,\1auth=Bearer tok\1\1") + "\r\n";
  std::string input, expected;
  for (int i = 0; i < 5; ++i) {
    input += bearer + "AQ==\r\n";
    expected += "<OAUTHBEARER joe tok>+ " + token_refused() +
                "\r\na1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n";
  }
  EXPECT_EQ(imap_differs(input + bearer, wrong_token, expected + "* BYE Too many refused logins\r\n<goodbye 2>"),
            std::nullopt);
}

TEST(External, PassesThroughAFront) {
  EXPECT_EQ(
      imap_differs("a1 AUTHENTICATE EXTERNAL =\r\n", protocol::Accepted{}, "<EXTERNAL  >a1 OK Logged in\r\n<relay >"),
      std::nullopt);
  EXPECT_EQ(imap_differs("a1 AUTHENTICATE EXTERNAL\r\n\r\n", protocol::Accepted{},
                         "+ \r\n<EXTERNAL  >a1 OK Logged in\r\n<relay >"),
            std::nullopt);
  EXPECT_EQ(imap_differs("a1 AUTHENTICATE EXTERNAL YW5u\r\n", wrong_token,
                         "<EXTERNAL  as ann >a1 NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"),
            std::nullopt);
}

}  // namespace
}  // namespace postern::sasl
