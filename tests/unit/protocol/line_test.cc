// SPDX-License-Identifier: GPL-3.0-or-later
// Framing, and the wiping of what was framed.
#include <gtest/gtest.h>

#include <cstring>

#include "protocol/line/inbox.h"
#include "protocol/line/literal.h"
#include "protocol/line/reader.h"
#include "protocol/line/word.h"

namespace postern::line {
namespace {

TEST(LiteralMark, IsAtTheEnd) {
  EXPECT_EQ(literal_at_end("a1 LOGIN {5}")->size, 5u);
  EXPECT_TRUE(literal_at_end("a1 LOGIN {5}")->waits);
  EXPECT_EQ(literal_at_end("{0+}")->size, 0u);
  EXPECT_FALSE(literal_at_end("{0+}")->waits);
  EXPECT_EQ(literal_at_end("{{7}")->size, 7u);
  EXPECT_EQ(literal_at_end("{0000000000000000000000005}")->size, 5u);
  EXPECT_EQ(literal_at_end("{4294967295}")->size, 4294967295u);
  for (const char* huge :
       {"{4294967296}", "{18446744073709551615}", "{18446744073709551622}", "{99999999999999999999999999}"}) {
    EXPECT_EQ(literal_at_end(huge)->size, LiteralMark::size_unbounded) << huge;
  }
  for (const char* none :
       {"", "}", "{}", "{+}", "{5", "5}", "{5} ", "{5-}", "{5++}", "{-5}", "{ 5}", "{5}x", "{0x5}"}) {
    EXPECT_FALSE(literal_at_end(none)) << none;
  }
}

// Consumed bytes are overwritten at once: the memory in front of what is left holds nothing but zeros.
TEST(Inbox, WipesWhatItConsumes) {
  Inbox inbox;
  inbox.append("hunter2 and more");
  const char* memory = inbox.view().data();
  inbox.consume(7);
  EXPECT_EQ(inbox.view(), " and more");
  EXPECT_EQ(std::string_view(memory, 7), std::string_view("\0\0\0\0\0\0\0", 7));
  inbox.consume(9);
  EXPECT_EQ(inbox.size(), 0u);
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(memory[i], '\0') << i;
}

TEST(Inbox, KeepsItsBytesWhileItGrows) {
  Inbox inbox;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    inbox.append(piece);
    all += piece;
    if (i % 3 == 0) {
      inbox.consume(2);
      all.erase(0, 2);
    }
  }
  EXPECT_EQ(inbox.view(), all);
  Inbox moved(std::move(inbox));
  EXPECT_EQ(inbox.size(), 0u);  // NOLINT(bugprone-use-after-move): that is the promise
  EXPECT_EQ(moved.take(), all);
  EXPECT_EQ(moved.size(), 0u);
}

TEST(Reader, FindsLines) {
  Reader reader;
  reader.feed("one\r\ntwo\n\r\nfour\r");
  for (const char* line : {"one", "two", ""}) {
    ASSERT_EQ(reader.next_line(100), Step::Whole);
    EXPECT_EQ(reader.frame(), line);
    reader.drop();
  }
  EXPECT_EQ(reader.next_line(100), Step::NeedBytes);
  reader.feed("\n");
  ASSERT_EQ(reader.next_line(4), Step::Whole);
  EXPECT_EQ(reader.frame(), "four");
}

// The limit is on the line without its end, and does not wait for the end.
TEST(Reader, HoldsTheLimitToTheByte) {
  for (const char* end : {"\n", "\r\n"}) {
    Reader reader;
    reader.feed("12345");
    EXPECT_EQ(reader.next_line(4), Step::TooLong);
    EXPECT_EQ(reader.next_line(5), Step::NeedBytes);
    reader.feed(end);
    EXPECT_EQ(reader.next_line(5), Step::Whole);
  }
}

TEST(Reader, CountsTheLinesOfACommandTogether) {
  const CommandLimits limits = {.line_size = 10, .literal_size = 5, .literals_size = 8, .swallow_size = 20};
  Reader reader;
  reader.feed("a {5+}\r\n12345 bcd\r\n");
  ASSERT_EQ(reader.next_command(limits), Step::Whole);
  EXPECT_EQ(reader.frame(), "a {5+}\r\n12345 bcd");
  reader.drop();
  reader.feed("a {5+}\r\n12345 bcde\r\n");
  EXPECT_EQ(reader.next_command(limits), Step::TooLong);
  reader.clear();
  reader.feed("a {5+}\r\n12345{4+}\r\n");
  EXPECT_EQ(reader.next_command(limits), Step::LiteralTooBig);
  reader.clear();
  reader.feed("{21+}\r\n");
  EXPECT_EQ(reader.next_command(limits), Step::TooLong);
}

TEST(Word, Helpers) {
  EXPECT_TRUE(same_word("Noop", "nOOP"));
  EXPECT_FALSE(same_word("NOOP", "NOO"));
  EXPECT_FALSE(same_word("[", "{"));
  std::string_view text = "a  b";
  EXPECT_EQ(take_word(text), "a");
  EXPECT_EQ(take_word(text), "");
  EXPECT_EQ(take_word(text), "b");
  EXPECT_EQ(take_word(text), "");
  EXPECT_EQ(one_line("a\r\nb\x7f\xc3\xa9 c", 8), "ab\xc3\xa9 ");
}

}  // namespace
}  // namespace postern::line
