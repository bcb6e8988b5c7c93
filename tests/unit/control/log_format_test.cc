// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/log_format.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/log_fields.h"

namespace postern::control {
namespace {

const timespec when{1767225600, 7'000'000};  // 2026-01-01T00:00:00.007Z

LogLine a_login() {
  LogLine line(Severity::Info, "login");
  line.add("user", "joe@example.test").add("local", "192.0.2.1:993").add("in", uint64_t{42});
  return line;
}

TEST(LogFormat, WritesText) {
  EXPECT_EQ(text_line(a_login(), when),
            "2026-01-01T00:00:00.007Z info login user=joe@example.test local=192.0.2.1:993 in=42\n");
  EXPECT_EQ(systemd_line(a_login()), "<6>login user=joe@example.test local=192.0.2.1:993 in=42\n");
}

TEST(LogFormat, WritesJson) {
  EXPECT_EQ(json_object(a_login(), when),
            R"({"time":"2026-01-01T00:00:00.007Z","severity":"info","event":"login","user":"joe@example.test",)"
            R"("local":"192.0.2.1:993","in":42})");
  // A text that looks like a number stays one: a field has one type.
  EXPECT_EQ(json_object(LogLine(Severity::Error, "x").add("user", "42").add("count", uint64_t{7}), when),
            R"({"time":"2026-01-01T00:00:00.007Z","severity":"error","event":"x","user":"42","count":7})");
}

// Line ends, quotes, braces, NUL: one object on one line, with the value as it was.
TEST(LogFormat, KeepsWhatAPeerSends) {
  using std::string_literals::operator""s;
  const std::string hostile = "joe\n\"},{\\x41 \xc3\xa9 \0 reason=credentials"s;
  const std::string text =
      json_object(LogLine(Severity::Info, "login-failed").add("user", hostile).add("tls", "none"), when);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json.size(), 5u);
  EXPECT_EQ(json["user"].get<std::string>(), hostile);
}

// Bytes that are not UTF-8: JSON cannot carry them, and yet none is lost.
TEST(LogFormat, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(json_object(LogLine(Severity::Info, "x").add("user", "j\xf6\\\n"), when),
            R"({"time":"2026-01-01T00:00:00.007Z","severity":"info","event":"x","user_escaped":"j\\xf6\\\\\\x0a",)"
            "\"user\":\"j\xef\xbf\xbd\\\\\\n\"}");
}

std::string unescaped(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
    } else if (text[i + 1] == '\\') {
      bytes += text[++i];
    } else {
      bytes += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
      i += 3;
    }
  }
  return bytes;
}

// Whatever a value is, it can be read back from the line's text and from JSON.
TEST(LogFormat, LosesNoByte) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string value(random() % 40, '\0');
    for (char& c : value)
      c = static_cast<char>(random() % 3 == 0 ? "\"\\ =x\n"[random() % 6] : static_cast<char>(random()));
    LogLine line(Severity::Info, "x");
    line.add("a", value).add("b", uint64_t{7}).add("c", value);
    LogFields fields(line);
    EXPECT_EQ(fields.event(), "x");
    for (const char* key : {"a", "b", "c"}) {
      const auto field = fields.next();
      ASSERT_TRUE(field.has_value());
      EXPECT_EQ(field->key, key);
      EXPECT_EQ(field->is_number, *key == 'b');
      EXPECT_EQ(field->value(), *key == 'b' ? "7" : value);
    }
    EXPECT_FALSE(fields.next().has_value());
    const nlohmann::json json = nlohmann::json::parse(json_object(line, when));
    EXPECT_EQ(
        json.contains("c_escaped") ? unescaped(json["c_escaped"].get<std::string>()) : json["c"].get<std::string>(),
        value);
    EXPECT_EQ(json["b"].get<int>(), 7);
  }
}

// More fields than the mask has bits: the rest is text, and none is lost.
TEST(LogFormat, TakesManyFields) {
  LogLine line(Severity::Notice, "status");
  for (int i = 0; i < 70; ++i)
    line.add("k" + std::to_string(i), uint64_t{7});
  const nlohmann::json json = nlohmann::json::parse(json_object(line, when));
  EXPECT_EQ(json.size(), 73u);
  EXPECT_TRUE(json["k63"].is_number());
  EXPECT_EQ(json["k69"].get<std::string>(), "7");
}

}  // namespace
}  // namespace postern::control
