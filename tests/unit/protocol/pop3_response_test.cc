// SPDX-License-Identifier: GPL-3.0-or-later
// A POP3 mail server's line taken apart, and what of it goes on.
#include "protocol/pop3/response.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::pop3 {
namespace {

TEST(Pop3Response, IsTakenApart) {
  const Response ok = parse_response("+OK [XCLIENT] Welcome [home]");
  EXPECT_EQ(ok.kind, ResponseKind::Ok);
  EXPECT_EQ(ok.code, "XCLIENT");
  EXPECT_EQ(ok.text, "Welcome [home]");

  const Response no = parse_response("-err [SYS/TEMP]later");
  EXPECT_EQ(no.kind, ResponseKind::Err);
  EXPECT_EQ(no.code, "SYS/TEMP");
  EXPECT_EQ(no.text, "later");

  const Response go_on = parse_response("+ [AUTH] x");
  EXPECT_EQ(go_on.kind, ResponseKind::Continue);
  EXPECT_EQ(go_on.code, "");
  EXPECT_EQ(go_on.text, "[AUTH] x");
}

TEST(Pop3Response, MayLackItsText) {
  EXPECT_EQ(parse_response("+OK").kind, ResponseKind::Ok);
  EXPECT_EQ(parse_response("-ERR").kind, ResponseKind::Err);
  EXPECT_EQ(parse_response("-ERR [AUTH]").code, "AUTH");
  EXPECT_EQ(parse_response("+").kind, ResponseKind::Continue);
  EXPECT_EQ(parse_response("+ ").kind, ResponseKind::Continue);
}

TEST(Pop3Response, HasNoCodeThatIsNone) {
  for (const std::string text : {"[open", "[] x", "[user joe] unknown", "[a\x01] x", "x [AUTH]"}) {
    const std::string line = "-ERR " + text;
    const Response response = parse_response(line);
    EXPECT_EQ(response.code, "") << text;
    EXPECT_EQ(response.text, text);
  }
  const std::string line = "-ERR [" + std::string(65, 'X') + "] x";
  EXPECT_EQ(parse_response(line).code, "");
}

TEST(Pop3Response, IsGarbage) {
  for (const char* line : {"", " ", " +OK", "+OKAY", "+NO", "-", "ERR", "* OK ready", "220 mail.example.test ESMTP",
                           "++", "\x16\x03\x01"}) {
    EXPECT_EQ(parse_response(line).kind, ResponseKind::Garbage) << line;
  }
}

TEST(Pop3Capabilities, AreFoundByTheirName) {
  const char list[] = "TOP\nsasl LOGIN PLAIN\nEXPIRE 60\n";
  EXPECT_TRUE(has_capability(list, "top"));
  EXPECT_TRUE(has_capability(list, "EXPIRE"));
  EXPECT_FALSE(has_capability(list, "PLAIN"));
  EXPECT_FALSE(has_capability(list, "60"));
  EXPECT_FALSE(has_capability("", "TOP"));
  EXPECT_TRUE(has_mechanism(list, "plain"));
  EXPECT_FALSE(has_mechanism(list, "SASL"));
  EXPECT_FALSE(has_mechanism("TOP PLAIN\nSASL LOGIN", "PLAIN"));
}

TEST(Pop3Capabilities, GoOnWhenTheySpeakOfTheMailServer) {
  for (const std::string line : {"TOP", "uidl", "EXPIRE 60 USER", "LOGIN-DELAY 900", "UTF8 USER", "X-SOMETHING new"}) {
    EXPECT_TRUE(is_front_capability(line)) << line;
  }
  for (const std::string line :
       {"", " TOP", ".", "..", "STLS", "user", "SASL PLAIN", "SASL", "APOP", "XCLIENT", "LANG", "RESP-CODES",
        "AUTH-RESP-CODE", "PIPELINING", "IMPLEMENTATION Other", "T\tP", "T\xc3\xa9"}) {
    EXPECT_FALSE(is_front_capability(line)) << line;
  }
  EXPECT_TRUE(is_front_capability("X" + std::string(509, ' ')));
  EXPECT_FALSE(is_front_capability("X" + std::string(510, ' ')));
}

}  // namespace
}  // namespace postern::pop3
