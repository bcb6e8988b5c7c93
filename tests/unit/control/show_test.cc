// SPDX-License-Identifier: GPL-3.0-or-later
#include "ctl/show.h"

#include <gtest/gtest.h>

#include "ctl/command_line.h"
#include "ctl/top.h"

namespace postern::ctl {
namespace {

TEST(Show, NumbersForPeople) {
  EXPECT_EQ(age_text(59), "59s");
  EXPECT_EQ(age_text(3661), "1h 1m");
  EXPECT_EQ(age_text(90061), "1d 1h");
  EXPECT_EQ(size_text(999), "999 B");
  EXPECT_EQ(size_text(1000), "1.0 kB");
  EXPECT_EQ(size_text(999'990), "1.0 MB");
  EXPECT_EQ(printable("a\x1b[2J\xc3"), "a\\x1b[2J\\xc3") << "nothing from a mail program steers the terminal";
}

TEST(Show, AnswersOfAnotherVersionDoNotMakeItFall) {
  for (const char* text : {"{}", "{\"states\":3,\"helper\":[]}", "{\"session\":7,\"seconds\":\"x\"}", "{\"lines\":[1]}",
                           "{\"uptime_seconds\":-1,\"sessions\":null}", "{\"text\":4}"}) {
    const Json json = Json::parse(text, nullptr, false);
    for (const char* command : {"status", "sessions", "session", "kick", "reload", "metrics", "backends", "cache",
                                "move", "trace", "log-level"})
      (void)show(command, json, true);
    (void)screen(json, json, 1, {json}, 80, 24);
  }
}

TEST(Top, FitsTheTerminal) {
  const Json status = Json::parse(
      R"({"version":"1","sessions":14000,"accepted":500,"states":{"Relaying":14000},"logins":{"accepted":300}})");
  const Json before = Json::parse(R"({"accepted":300,"logins":{"accepted":100}})");
  std::vector<Json> backends;
  for (int i = 0; i < 100; ++i)
    backends.push_back(
        Json{{"pool", std::string(60, 'p')}, {"back", std::string(60, 'b')}, {"state", "up"}, {"sessions", 7}});
  const std::string shown = screen(status, before, 2, backends, 80, 24);
  EXPECT_NE(shown.find("14000"), shown.npos);
  EXPECT_NE(shown.find("100.0"), shown.npos) << "logins a second";
  size_t lines = 1, width = 0;
  for (const char c : shown) {
    if (c == '\n') {
      lines++;
      width = 0;
    } else if (c != '\r') {
      width++;
    }
    EXPECT_LE(width, 80 + std::string("\x1b[K\x1b[J").size());
  }
  EXPECT_EQ(lines, 24u);
}

TEST(CommandLine, WordsBecomeARequest) {
  const auto line = read_command_line({"sessions", "joe", "port=993", "--json", "-s", "/x"});
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(line->json);
  EXPECT_EQ(line->socket, "/x");
  EXPECT_EQ(line->request, (Request{{"op", "sessions"}, {"user", "joe"}, {"port", "993"}}));
  const auto move = read_command_line({"move", "joe", "10.0.0.2:143", "hold=9"});
  ASSERT_TRUE(move.ok());
  EXPECT_EQ(move->request, (Request{{"op", "move"}, {"user", "joe"}, {"back", "10.0.0.2:143"}, {"hold_seconds", "9"}}));
}

TEST(CommandLine, WrongWordsAreRefused) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{},
                                                                                     {"frob"},
                                                                                     {"kick"},
                                                                                     {"session"},
                                                                                     {"session", "a", "b"},
                                                                                     {"status", "now"},
                                                                                     {"cache", "frob"},
                                                                                     {"cache", "drop"},
                                                                                     {"backends", "disable"},
                                                                                     {"trace"},
                                                                                     {"sessions", "colour=red"},
                                                                                     {"--frob", "status"},
                                                                                     {"status", "-s"}})
    EXPECT_FALSE(read_command_line(words).ok());
}

}  // namespace
}  // namespace postern::ctl
