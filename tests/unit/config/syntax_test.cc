// SPDX-License-Identifier: GPL-3.0-or-later
// A line that is not TOML is explained, and the lines after it are still read where that makes sense.
#include <gtest/gtest.h>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

constexpr std::string_view in_quotes = "All but numbers, true and false stands in double quotes, lists in [ ].";
constexpr std::string_view unchecked = " The settings were not checked.";

std::string with(std::string_view head, std::string_view tail, std::string_view end = "") {
  return std::string(head) + std::string(tail) + std::string(end) + "\n";
}

TEST(Syntax, ExplainsTheLine) {
  EXPECT_EQ(sentences("[auth]\ntimeout = 5s\n"),
            with("f:2: \"timeout = 5s\" is not TOML: expected digit, saw 's'. ", in_quotes));
  EXPECT_EQ(sentences("[auth]\nhelper = /run/x\n"),
            with("f:2: \"helper = /run/x\" is not TOML: could not determine value type. ", in_quotes));
  EXPECT_EQ(sentences("[auth]\nhelper = \"/run/x\n"),
            with("f:2: \"helper = \\\"/run/x\" is not TOML: the closing quote is missing. ", in_quotes));
  EXPECT_EQ(
      sentences("[gate]\nreactors: 4\n"),
      "f:2: \"reactors: 4\" is not TOML: expected '=', saw ':'. A line is a heading such as [gate], a setting such as "
      "reactors = 4, or a comment after #.\n");
  EXPECT_EQ(
      sentences("[gate\nreactors = 4\n"),
      with("f:1: \"[gate\" is not TOML: expected ']', saw '\\n'. A heading is [name] or [[name]], alone on its line.",
           unchecked));
}

// toml++ 3.3 ends the process at the first of these and is undefined at the others.
TEST(Syntax, ExplainsWhatTheParserItselfFearsToRead) {
  EXPECT_EQ(sentences("[.tls]\n"),
            with("f:1: \"[.tls]\" is not TOML: expected bare key starting character or string delimiter, saw '.'. A "
                 "heading is [name] or [[name]], alone on its line.",
                 unchecked));
  EXPECT_EQ(sentences("[gate]\nuser = \xc3\xa9\n"),
            with("f:2: \"user = \\xc3\\xa9\" is not TOML: could not determine value type. ", in_quotes));
  EXPECT_EQ(sentences("[gate]\nus\xc3\xa9r = 1\n"),
            "f:2: \"us\\xc3\\xa9r = 1\" is not TOML: expected '=', saw '\\xc3'. All but numbers, true and false stands "
            "in double quotes, lists in [ ].\n");
}

// Comments and paths are bytes in whatever encoding; what we show of them is escaped.
TEST(Syntax, TakesBytesBeyondAscii) {
  const std::string listener =
      "[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n";
  const LoadResult result = load_text(listener + "# \xff \xc3\xa9\n[auth]\nhelper = \"/\xc3\xa9\xff\\u00e9\"\n", "f");
  EXPECT_EQ(sentences(result), "");
  ASSERT_TRUE(result.config.has_value());
  EXPECT_EQ(result.config->auth.helper, "/\xc3\xa9\xff\xc3\xa9");
  EXPECT_EQ(sentences(listener + "[gate]\n\"us\xc3\xa9rs\" = \"x\"\n"),
            "f:6: [gate] has no setting \"us\\xc3\\xa9rs\"; it has reactors, hostname, user, control, drain_timeout, "
            "upgrade_timeout and "
            "kernel_features.\n");
}

TEST(Syntax, KnowsWhatStandsTwice) {
  EXPECT_EQ(
      sentences("[gate]\nreactors = 4\nreactors = 5\n"),
      "f:3: \"reactors = 5\" is not TOML: cannot redefine existing integer 'reactors'. Take one of the two out.\n");
  EXPECT_EQ(sentences("[gate]\n[gate]\n"), with("f:2: \"[gate]\" is not TOML: cannot redefine existing table 'gate'. "
                                                "Put both into one section; where several "
                                                "may stand, each heading has double brackets.",
                                                unchecked));
}

// The values around a mistake are still looked at; what is missing is not, since it may have stood in that line.
TEST(Syntax, ReadsOnAfterAMistake) {
  EXPECT_EQ(
      sentences("[[pool]]\nname = default\n[auth]\ntimeout = 5\nhelper = /run/x\nmod = \"back\"\n"),
      with("f:2: \"name = default\" is not TOML: could not determine value type. ", in_quotes) +
          "f:4: timeout in [auth] must be a duration in quotes; found the number 5. Write, for example: timeout = "
          "\"5s\"\n" +
          with("f:5: \"helper = /run/x\" is not TOML: could not determine value type. ", in_quotes) +
          "f:6: [auth] has no setting \"mod\"; did you mean \"mode\"?\n");
}

TEST(Syntax, StopsWhereNothingCanBeTrusted) {
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\n  \"127.0.0.1:143\"\n  \"[::1]:143\"\n]\n[auth]\nmod = 1\n"),
            with("f:4: \"\\\"[::1]:143\\\"\" is not TOML: expected comma or closing ']', saw '\"'. A line is a heading "
                 "such as "
                 "[gate], a setting such as reactors = 4, or a comment after #.",
                 unchecked));
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:143\"\n"),
            with(std::string("f:2: \"addresses = [\\\"127.0.0.1:143\\\"\" is not TOML: encountered end-of-file. ") +
                     std::string(in_quotes),
                 unchecked));
  std::string many = "[gate]\n";
  for (int i = 0; i < 50; ++i)
    many += "a" + std::to_string(i) + " = x\n";
  EXPECT_EQ(load_text(many, "f").problems.size(), 20u);
}

TEST(Syntax, TakesWindowsLinesAndABom) {
  EXPECT_EQ(sentences("\xef\xbb\xbf[[listen]]\r\naddresses = [\"127.0.0.1:1143\"]\r\ntls = "
                      "\"none\"\r\nlogin_without_tls = true\r\n"),
            "");
}

TEST(Syntax, CutsDeepNesting) {
  std::string deep = "[gate]\nx = ";
  for (int i = 0; i < 200; ++i)
    deep += "[";
  for (int i = 0; i < 200; ++i)
    deep += "]";
  EXPECT_NE(sentences(deep).find("[gate] has no setting \"x\""), std::string::npos);
  std::string dotted = "[gate]\nx";
  for (int i = 0; i < 200; ++i)
    dotted += ".x";
  EXPECT_NE(sentences(dotted + " = 1\n").find("There is no section \"gate.x\""), std::string::npos);
}

}  // namespace
}  // namespace postern::config
