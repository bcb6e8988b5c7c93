// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/form.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace postern::auth {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const Form& form) {
  Pairs pairs;
  for (size_t i = 0; i < form.size(); ++i)
    pairs.emplace_back(form.key(i), form.value(i));
  return pairs;
}

std::string line_of(FormWriter& writer) {
  const std::optional<Secret> line = writer.finish();
  return line ? std::string(line->reveal()) : "(too long)";
}

TEST(FormWriter, EncodesAsFormsDo) {
  FormWriter writer;
  writer.add("op", "verify").add("id", uint64_t{17}).add("user", "joe@example.test").add("password", "a b+c&d=e%\n\r");
  writer.add_filled("sni", "").add_filled("tls", "TLSv1.3");
  EXPECT_EQ(line_of(writer), "op=verify&id=17&user=joe%40example.test&password=a+b%2Bc%26d%3De%25%0A%0D&tls=TLSv1.3\n");
}

TEST(FormWriter, StartsAnewAfterFinish) {
  FormWriter writer;
  writer.add("a", "1");
  EXPECT_EQ(line_of(writer), "a=1\n");
  writer.add("b", "2");
  EXPECT_EQ(line_of(writer), "b=2\n");
}

TEST(FormWriter, RefusesALineBeyondTheLimit) {
  FormWriter writer;
  writer.add("a", std::string(line_size_max - 3, 'x'));  // "a=", x..., LF
  EXPECT_EQ(line_of(writer).size(), line_size_max);
  writer.add("a", std::string(line_size_max - 2, 'x'));
  EXPECT_EQ(line_of(writer), "(too long)");
  writer.add("a", std::string(line_size_max / 3, '\xff'));  // it is the encoded size that counts
  EXPECT_EQ(line_of(writer), "(too long)");
  writer.add("a", std::string(50'000'000, 'x')).add("b", std::string(50'000'000, 'x'));
  EXPECT_EQ(line_of(writer), "(too long)");
  writer.add("a", "1");
  EXPECT_EQ(line_of(writer), "a=1\n");
}

// Every byte survives the way there and back, as a key too, and no byte ends the line early.
TEST(Form, ReadsWhatTheWriterWrites) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte)
    all += static_cast<char>(byte);
  FormWriter writer;
  writer.add("user", all).add(all, "").add("", "no key").add("back", "1").add("back", "2");
  std::string line = line_of(writer);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  line.pop_back();
  Form form;
  ASSERT_EQ(form.read(line), FormFault::None);
  EXPECT_EQ(pairs_of(form), (Pairs{{"user", all}, {all, ""}, {"", "no key"}, {"back", "1"}, {"back", "2"}}));
  EXPECT_EQ(form.get("user"), all);
  EXPECT_EQ(form.get("back"), "1");
  EXPECT_EQ(form.get_secret("back"), Secret("1"));
  EXPECT_FALSE(form.find("nobody"));
}

TEST(Form, ToleratesWhatOthersWrite) {
  const std::pair<std::string_view, Pairs> cases[] = {
      {"", {}},
      {"&&&", {}},
      {"\r", {}},
      {"a", {{"a", ""}}},
      {"a=", {{"a", ""}}},
      {"a=1&&b=2&", {{"a", "1"}, {"b", "2"}}},
      {"a==1=", {{"a", "=1="}}},
      {"a=1\r", {{"a", "1"}}},
      {"a=1\r\r", {{"a", "1\r"}}},
      {"text=sorry, caf\xc3\xa9 \"closed\"; \x01\xff", {{"text", "sorry, caf\xc3\xa9 \"closed\"; \x01\xff"}}},
      {"user=joe@example.test", {{"user", "joe@example.test"}}},
      {"a=%41%4a%4A%00", {{"a", std::string("AJJ\0", 4)}}},
      {"%61=+%2b+", {{"a", " + "}}},
  };
  for (const auto& [line, pairs] : cases) {
    Form form;
    ASSERT_EQ(form.read(line), FormFault::None) << line;
    EXPECT_EQ(pairs_of(form), pairs) << line;
  }
}

TEST(Form, RefusesMalformedEscapes) {
  for (const char* line : {"a=%", "a=%4", "a=%4&b=1", "a=%g0", "a=%0g", "a=%%41", "%=1", "a=1&b=%zz", "a=% 41", "%4"}) {
    Form form;
    EXPECT_EQ(form.read(line), FormFault::BadEscape) << line;
    EXPECT_EQ(form.size(), 0u) << line;
    EXPECT_FALSE(form.find("a")) << line;
  }
}

TEST(Form, HasLimits) {
  Form form;
  std::string many;
  for (size_t i = 0; i < pairs_max; ++i)
    many += "a&";
  EXPECT_EQ(form.read(many), FormFault::None);
  EXPECT_EQ(form.size(), pairs_max);
  EXPECT_EQ(form.read(many + "a"), FormFault::TooManyPairs);
  EXPECT_EQ(form.size(), 0u);
  EXPECT_EQ(form.read(std::string(line_size_max - 1, '&')), FormFault::None);
  EXPECT_EQ(form.read("a=" + std::string(line_size_max - 3, 'x')), FormFault::None);
  EXPECT_EQ(form.get("a").size(), line_size_max - 3);
  EXPECT_EQ(form.read("a=" + std::string(line_size_max - 2, 'x')), FormFault::TooLong);
}

TEST(Form, HasAWordForEachFault) {
  EXPECT_EQ(form_fault_word(FormFault::BadEscape), "bad escape");
  EXPECT_EQ(form_fault_word(FormFault::TooLong), "too long");
  EXPECT_EQ(form_fault_word(FormFault::TooManyPairs), "too many pairs");
  EXPECT_EQ(form_fault_word(FormFault::None), "none");
}

std::vector<std::string> lines_of(LineSplitter& splitter) {
  std::vector<std::string> lines;
  while (const std::optional<std::string_view> line = splitter.next())
    lines.emplace_back(*line);
  return lines;
}

// The same lines come out wherever the stream is cut, and when all comes at once.
TEST(LineSplitter, DoesNotCareWhereTheStreamIsCut) {
  const std::string stream = "op=hello&version=1\n\nid=17&result=ok\r\nid=18";
  const std::vector<std::string> expected = {"op=hello&version=1", "", "id=17&result=ok\r"};
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    LineSplitter splitter;
    splitter.feed(std::string_view(stream).substr(0, cut));
    std::vector<std::string> lines = lines_of(splitter);
    splitter.feed(std::string_view(stream).substr(cut));
    for (std::string& line : lines_of(splitter))
      lines.push_back(std::move(line));
    EXPECT_EQ(lines, expected) << "cut at " << cut;
    EXPECT_TRUE(splitter.in_mid_line());
    splitter.feed("\n");
    EXPECT_EQ(lines_of(splitter), std::vector<std::string>{"id=18"});
    EXPECT_FALSE(splitter.in_mid_line());
  }
  LineSplitter bytewise;
  std::vector<std::string> lines;
  for (const char byte : stream) {
    bytewise.feed(std::string_view(&byte, 1));
    for (std::string& line : lines_of(bytewise))
      lines.push_back(std::move(line));
  }
  EXPECT_EQ(lines, expected);
}

// Lines may also be taken one between two feeds.
TEST(LineSplitter, KeepsLinesThatWereNotYetTaken) {
  LineSplitter splitter;
  splitter.feed("a\nb\nc");
  EXPECT_EQ(splitter.next(), "a");
  splitter.feed("c\nd");
  EXPECT_EQ(splitter.next(), "b");
  EXPECT_EQ(splitter.next(), "cc");
  EXPECT_EQ(splitter.next(), std::nullopt);
  splitter.feed("\n");
  EXPECT_EQ(splitter.next(), "d");
  EXPECT_EQ(splitter.next(), std::nullopt);
}

TEST(LineSplitter, StopsAtALineThatNeverEnds) {
  for (const size_t piece : {size_t{1}, size_t{1000}, line_size_max, 10 * line_size_max}) {
    LineSplitter splitter;
    splitter.feed("first\n");
    EXPECT_EQ(splitter.next(), "first");
    size_t fed = 0;
    while (!splitter.overflowed() && fed < 20 * line_size_max) {
      splitter.feed(std::string(piece, '\xff'));
      fed += piece;
      EXPECT_EQ(splitter.next(), std::nullopt);
    }
    EXPECT_TRUE(splitter.overflowed());
    EXPECT_GE(fed, line_size_max);
    EXPECT_LE(fed, std::max(line_size_max + piece, piece));
    splitter.feed("\nnext\n");
    EXPECT_EQ(splitter.next(), std::nullopt);
    splitter.clear();
    splitter.feed("next\n");
    EXPECT_EQ(splitter.next(), "next");
  }
}

TEST(LineSplitter, TakesALineOfExactlyTheLimit) {
  LineSplitter splitter;
  splitter.feed(std::string(line_size_max - 1, 'a'));
  EXPECT_EQ(splitter.next(), std::nullopt);
  splitter.feed("\n");
  EXPECT_EQ(splitter.next(), std::string(line_size_max - 1, 'a'));
  splitter.feed(std::string(line_size_max, 'a') + "\n");
  EXPECT_EQ(splitter.next(), std::nullopt);
  EXPECT_TRUE(splitter.overflowed());
}

TEST(SecretBuffer, MovesAndDropsItsFront) {
  SecretBuffer buffer;
  buffer.append("short");
  SecretBuffer other(std::move(buffer));
  EXPECT_TRUE(buffer.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  other.append(std::string(2000, 'x'));
  other.drop_front(4);
  EXPECT_EQ(other.reveal(), "t" + std::string(2000, 'x'));
  buffer = std::move(other);
  EXPECT_EQ(buffer.size(), 2001u);
  buffer.drop_front(9999);
  EXPECT_TRUE(buffer.empty());
  buffer.append('a');
  EXPECT_EQ(buffer.take(), Secret("a"));
  EXPECT_TRUE(buffer.empty());
}

}  // namespace
}  // namespace postern::auth
