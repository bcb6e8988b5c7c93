// SPDX-License-Identifier: GPL-3.0-or-later
// SASL without a dialect round it, and its base64.
#include <gtest/gtest.h>

#include "protocol/sasl/base64.h"
#include "protocol/sasl/exchange.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
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

TEST(Exchange, KnowsItsMechanisms) {
  EXPECT_TRUE(Exchange::of("PLAIN"));
  EXPECT_TRUE(Exchange::of("login"));
  for (const char* name : {"", "PLAIN ", "CRAM-MD5", "SCRAM-SHA-256", "EXTERNAL"})
    EXPECT_FALSE(Exchange::of(name)) << name;
}

Step plain(std::string_view message) {
  return Exchange::of("PLAIN")->begin(base64_encode(message));
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
  EXPECT_EQ(std::get<Failure>(Exchange::of("LOGIN")->begin(base64_encode("jo\0e"s))), Failure::Malformed);
}

TEST(PlainMessage, IsWhatAnExchangeUnderstands) {
  const Secret message = plain_message("ann", "joe",
                                       "s\xc3\xa9"
                                       "cret");
  const Step step = Exchange::of("PLAIN")->begin(message.reveal());
  ASSERT_TRUE(std::holds_alternative<Credentials>(step));
  EXPECT_EQ(std::get<Credentials>(step).user, "joe");
  EXPECT_EQ(std::get<Credentials>(step).authzid, "ann");
  EXPECT_EQ(std::get<Credentials>(step).password.reveal(),
            "s\xc3\xa9"
            "cret");
}

}  // namespace
}  // namespace postern::sasl
