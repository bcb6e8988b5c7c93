// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of what stands behind a command's name, at the places where the conversations do not reach.
#include "protocol/imap/command.h"

#include <gtest/gtest.h>

namespace postern::imap {
namespace {

using std::string_literals::operator""s;

TEST(Tag, IsOfTheGrammar) {
  for (const char* tag : {"a", "0001", "A.1-_", "]", "a]b", "x:y;z"})
    EXPECT_TRUE(is_tag(tag)) << tag;
  for (const char* tag : {"", "+", "a+", "*", "%n", "a b", "(", ")", "{", "\"a\"", "\\", "\x01", "\x7f", "\xc3\xa9"}) {
    EXPECT_FALSE(is_tag(tag)) << tag;
  }
  EXPECT_TRUE(is_tag(std::string(256, 't')));
  EXPECT_FALSE(is_tag(std::string(257, 't')));
  EXPECT_FALSE(is_tag("a\0b"s));
}

// A prefix of a good LOGIN that ends in a literal's announcement is good so far; everything else is not.
TEST(Login, KnowsAGoodBeginning) {
  LoginArguments login;
  for (const char* text : {"{3}", "{3+}", "{0}", "joe {6}", "\"joe\" {6}", "{3}\r\njoe {6}", "{3+}\njoe {6+}"}) {
    EXPECT_EQ(parse_login(text, login), Parsed::WantsLiteral) << text;
  }
  for (const char* text : {"", " ", "joe", "joe ", "{3}\r\njoe{6}", "joe secret {3}", "jo{3}", "\"joe\"{3}", "{3}x",
                           "{3}\rjoe x", "{9}\r\njoe x", "~{3}", "{x}", "{3", "{", "{}", "\"", "\"\\", "\"joe"}) {
    EXPECT_EQ(parse_login(text, login), Parsed::No) << text;
  }
}

TEST(Login, UndoesEscapesInQuotesOnly) {
  LoginArguments login;
  ASSERT_EQ(parse_login(R"("a\\b\"c" d\\e)", login), Parsed::Yes);
  EXPECT_EQ(login.user.text(), R"(a\b"c)");
  EXPECT_EQ(login.password.secret().reveal(), R"(d\\e)");
  ASSERT_EQ(parse_login("{4}\r\na\\\\b \"\"", login), Parsed::Yes);
  EXPECT_EQ(login.user.text(), R"(a\\b)");
  EXPECT_TRUE(login.password.empty());
}

Parsed parse_id(std::string_view text) {
  std::vector<IdPair> pairs;
  return imap::parse_id(text, pairs);
}

TEST(Id, TakesWhatTheRfcTakes) {
  for (const char* text : {"NIL", "nil", "()", "(\"a\" NIL)", "(\"a\" \"b\" \"c\" {1}\r\nd)"}) {
    EXPECT_EQ(parse_id(text), Parsed::Yes) << text;
  }
  for (const char* text :
       {"", "NILL", "NIL ", "(", "( )", "(NIL \"a\")", "(\"a\" b)", "(\"a\"  \"b\")", "(\"a\" \"b\") ", "(\"a\" \"b\"",
        "(\"a\" \"b\"\"c\" \"d\")", "\"a\" \"b\"", "((((", "(\"a\" (\"b\"))"}) {
    EXPECT_EQ(parse_id(text), Parsed::No) << text;
  }
  EXPECT_EQ(parse_id("({3}"), Parsed::WantsLiteral);
  EXPECT_EQ(parse_id("(\"a\" {3}"), Parsed::WantsLiteral);
}

}  // namespace
}  // namespace postern::imap
