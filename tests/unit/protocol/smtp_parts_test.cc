// SPDX-License-Identifier: GPL-3.0-or-later
// The small parts of the submission dialect: what is read out of one word or one line.
#include <gtest/gtest.h>

#include <string>

#include "protocol/smtp/command.h"
#include "protocol/smtp/reply.h"
#include "protocol/smtp/xtext.h"

namespace postern::smtp {
namespace {

TEST(Xtext, ComesBackAsItWas) {
  EXPECT_EQ(write_xtext("joe+tag=x y\n"), "joe+2Btag+3Dx+20y+0A");
  std::string all;
  for (int octet = 0; octet < 256; ++octet)
    all.push_back(static_cast<char>(octet));
  EXPECT_EQ(read_xtext(write_xtext(all)), all);
}

TEST(Xtext, RefusesWhatIsNone) {
  for (const char* text : {"+", "+2", "a+2b", "+G0", "a b", "a=b", "\xc3\xa4"})
    EXPECT_EQ(read_xtext(text), std::nullopt) << text;
  EXPECT_EQ(read_xtext(""), "");
}

TEST(Chunk, IsReadInOneWayOnly) {
  const std::optional<Chunk> chunk = parse_chunk("2147483647 last ");
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->size, 2147483647u);
  EXPECT_TRUE(chunk->last);
  EXPECT_EQ(parse_chunk("0")->size, 0u);
  EXPECT_FALSE(parse_chunk("7")->last);
  for (const char* text : {"", "LAST", "-1", "+1", "01", "00", "0x10", "1e3", "2147483648", "4294967301", "5  LAST",
                           "5 LAST LAST", "5 FIRST", "5LAST", "5\tLAST"})
    EXPECT_FALSE(parse_chunk(text)) << text;
}

TEST(ReplyLine, KnowsWhetherMoreFollows) {
  EXPECT_TRUE(parse_reply_line("250 ok")->last);
  EXPECT_FALSE(parse_reply_line("250-ok")->last);
  EXPECT_EQ(parse_reply_line("250-ok")->text, "ok");
  EXPECT_TRUE(parse_reply_line("250")->last);
  EXPECT_EQ(parse_reply_line("250")->text, "");
  EXPECT_EQ(parse_reply_line("354 go")->code, 354u);
  for (const char* line : {"", "25", "25x ok", "150 ok", "600 ok", "2500 ok", "250\tok", " 250 ok", "+OK", "* OK"})
    EXPECT_FALSE(parse_reply_line(line)) << line;
}

TEST(EnhancedCode, StandsInFrontOrNotAtAll) {
  std::string_view text = "5.7.13 disabled";
  EXPECT_EQ(take_enhanced_code(text), "5.7.13");
  EXPECT_EQ(text, "disabled");
  text = "2.7.0";
  EXPECT_EQ(take_enhanced_code(text), "2.7.0");
  EXPECT_EQ(text, "");
  for (const char* none : {"", "5", "5.7", "5.7.", "5..1", "3.7.1 x", "5.7.1x", "5.7.1234", "5.7.1.2", "welcome"}) {
    text = none;
    EXPECT_EQ(take_enhanced_code(text), "") << none;
    EXPECT_EQ(text, none);
  }
}

TEST(PassableCode, IsARefusal) {
  for (const char* code : {"550 5.7.1", "454 4.7.0", "432 4.7.12", "535 5.7.8"})
    EXPECT_TRUE(is_passable_code(code)) << code;
  for (const char* code : {"", "550", "550 ", "550 5.7.1 ", "550 5.7.1 x", "235 2.7.0", "334 ", "421 4.3.2",
                           "550 4.7.1", "550-5.7.1", "x"})
    EXPECT_FALSE(is_passable_code(code)) << code;
}

}  // namespace
}  // namespace postern::smtp
