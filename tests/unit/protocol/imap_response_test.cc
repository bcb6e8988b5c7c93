// SPDX-License-Identifier: GPL-3.0-or-later
// A mail server's line taken apart, and what of it goes on.
#include "protocol/imap/response.h"

#include <gtest/gtest.h>

namespace postern::imap {
namespace {

TEST(Response, IsTakenApart) {
  const Response ok = parse_response("P1 OK [CAPABILITY IMAP4rev1 IDLE] Welcome [home]");
  EXPECT_EQ(ok.kind, ResponseKind::Tagged);
  EXPECT_EQ(ok.tag, "P1");
  EXPECT_EQ(ok.status, Status::Ok);
  EXPECT_EQ(ok.code, "CAPABILITY");
  EXPECT_EQ(ok.code_arguments, "IMAP4rev1 IDLE");
  EXPECT_EQ(ok.text, "Welcome [home]");

  const Response no = parse_response("* no plain text");
  EXPECT_EQ(no.kind, ResponseKind::Untagged);
  EXPECT_EQ(no.status, Status::No);
  EXPECT_EQ(no.code, "");
  EXPECT_EQ(no.text, "plain text");

  const Response data = parse_response("* CAPABILITY IMAP4rev1 IDLE");
  EXPECT_EQ(data.kind, ResponseKind::Untagged);
  EXPECT_EQ(data.status, Status::None);
  EXPECT_EQ(data.word, "CAPABILITY");
  EXPECT_EQ(data.text, "IMAP4rev1 IDLE");
}

TEST(Response, MayLackItsText) {
  EXPECT_EQ(parse_response("P1 OK").status, Status::Ok);
  EXPECT_EQ(parse_response("P1 OK [ALERT]").code, "ALERT");
  EXPECT_EQ(parse_response("* OK [open").text, "[open");
  EXPECT_EQ(parse_response("+").kind, ResponseKind::Continue);
  EXPECT_EQ(parse_response("+ ").kind, ResponseKind::Continue);
  EXPECT_EQ(parse_response("+ go on").text, "go on");
}

TEST(Response, IsGarbage) {
  for (const char* line : {"", " ", "*", "* ", "+OK ready", "220 mail.example.test ESMTP", "P1", "P1 ", "P1 FINE",
                           "P1 BYE x", "P1 PREAUTH x", "% OK x", "\x16\x03\x01"}) {
    EXPECT_EQ(parse_response(line).kind, ResponseKind::Garbage) << line;
  }
}

TEST(Capabilities, AreWholeWords) {
  EXPECT_TRUE(has_capability("IMAP4rev1 SASL-IR auth=plain", "AUTH=PLAIN"));
  EXPECT_TRUE(has_capability(" IMAP4rev1  ID ", "ID"));
  EXPECT_FALSE(has_capability("IMAP4rev1 IDLE", "ID"));
  EXPECT_FALSE(has_capability("", "ID"));
}

TEST(Capabilities, GoOnWhenTheyAreFit) {
  EXPECT_EQ(passable_capabilities("IMAP4rev1 STARTTLS IDLE logindisabled"), "IMAP4rev1 IDLE");
  EXPECT_EQ(passable_capabilities("  IMAP4rev1   IDLE "), "IMAP4rev1 IDLE");
  EXPECT_EQ(passable_capabilities("IMAP4rev1] x"), "");
  EXPECT_EQ(passable_capabilities("IMAP4rev1\t"), "");
  EXPECT_EQ(passable_capabilities(""), "");
}

TEST(Code, GoesOnWhenItIsFit) {
  for (const char* code : {"UNAVAILABLE", "X-WHY 42 \"times\""})
    EXPECT_TRUE(is_passable_code(code)) << code;
  for (const char* code : {"", " X", "X]", "X\r\n", "4X", "\xc3\xa9", "X \x7f"})
    EXPECT_FALSE(is_passable_code(code)) << code;
  EXPECT_FALSE(is_passable_code("X " + std::string(300, 'y')));
}

}  // namespace
}  // namespace postern::imap
