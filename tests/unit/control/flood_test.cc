// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/flood.h"

#include <gtest/gtest.h>

#include "base/log_fields.h"

namespace postern::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Instant start = Instant(seconds(1000));

LogLine line_of(std::string_view event, const std::string& front, std::string_view reason) {
  LogLine line(Severity::Notice, event);
  line.add("session", "0123456789abcdef").add("front", front).add("reason", reason);
  return line;
}

// How many of these are written.
int written(Flood& flood, const LogLine& line, int count, Instant now) {
  int admitted = 0;
  for (int i = 0; i < count; ++i)
    admitted += flood.admits(line, now) ? 1 : 0;
  return admitted;
}

std::string texts(const std::vector<LogLine>& lines) {
  std::string all;
  for (const LogLine& line : lines)
    all += line.text() + "\n";
  return all;
}

TEST(Flood, TellsInOneLineWhatItHoldsBack) {
  Flood flood;
  flood.set_lines_max(30);
  const LogLine line = line_of("turned-away", "203.0.113.7:4711", "sessions_per_address");
  EXPECT_EQ(written(flood, line, 1234, start), 30);
  EXPECT_TRUE(flood.has_held_back());
  EXPECT_EQ(texts(flood.take_summaries(start + milliseconds(9999))), "");
  EXPECT_EQ(texts(flood.take_summaries(start + seconds(11))),
            "turned-away network=203.0.113.0/24 reason=sessions_per_address repeated=1204 seconds=10 "
            "text=\"1,204 more like this\"\n");
  EXPECT_FALSE(flood.has_held_back());
  EXPECT_EQ(texts(flood.take_summaries(start + seconds(30))), "");
  // Ten seconds later everything begins anew, and without anybody asking in between the former ones are not forgotten.
  EXPECT_EQ(written(flood, line, 31, start + seconds(40)), 30);
  EXPECT_EQ(written(flood, line, 1, start + seconds(51)), 1);
  EXPECT_EQ(texts(flood.take_summaries(start + seconds(51))),
            "turned-away network=203.0.113.0/24 reason=sessions_per_address repeated=1 seconds=10 "
            "text=\"1 more like this\"\n");
}

TEST(Flood, TellsEventsReasonsAndNetworksApart) {
  Flood flood;
  flood.set_lines_max(2);
  EXPECT_EQ(written(flood, line_of("turned-away", "203.0.113.7:1", "memory"), 5, start), 2);
  EXPECT_EQ(written(flood, line_of("turned-away", "203.0.113.99:2", "memory"), 5, start), 0) << "the same network";
  EXPECT_EQ(written(flood, line_of("turned-away", "203.0.114.7:1", "memory"), 5, start), 2);
  EXPECT_EQ(written(flood, line_of("turned-away", "203.0.113.7:1", "sessions"), 5, start), 2);
  EXPECT_EQ(written(flood, line_of("handshake-failed", "203.0.113.7:1", "memory"), 5, start), 2);
  EXPECT_EQ(written(flood, line_of("handshake-failed", "[2001:db8::1]:1", "memory"), 5, start), 2);
  EXPECT_EQ(written(flood, line_of("handshake-failed", "[2001:db8::ffff:1]:1", "memory"), 5, start), 0);
  EXPECT_NE(texts(flood.take_summaries(instant_never)).find("network=2001:db8::/64"), std::string::npos);
}

// Logins, ends and what is about no mail program are never held back, nor is what somebody debugs with.
TEST(Flood, WritesTheseAlways) {
  Flood flood;
  flood.set_lines_max(1);
  EXPECT_EQ(written(flood, line_of("login", "203.0.113.7:1", "x"), 1000, start), 1000);
  EXPECT_EQ(written(flood, line_of("end", "203.0.113.7:1", "logout"), 1000, start), 1000);
  EXPECT_EQ(written(flood, LogLine(Severity::Warning, "helper").add("state", "down"), 1000, start), 1000);
  EXPECT_EQ(written(flood, LogLine(Severity::Debug, "end-before-login").add("front", "203.0.113.7:1"), 1000, start),
            1000);
  flood.set_lines_max(0);
  EXPECT_EQ(written(flood, line_of("turned-away", "203.0.113.7:1", "x"), 1000, start), 1000);
  EXPECT_FALSE(flood.has_held_back());
}

// fail2ban counts these by address: each has its lines, however many addresses of one network there are.
TEST(Flood, WritesEnoughFailedLoginsOfEachAddress) {
  Flood flood;
  flood.set_lines_max(30);
  for (int host = 1; host < 200; ++host) {
    const LogLine line = line_of("login-failed", "203.0.113." + std::to_string(host) + ":1", "credentials");
    EXPECT_EQ(written(flood, line, 100, start), 30) << host;
  }
  EXPECT_NE(texts(flood.take_summaries(instant_never))
                .find("login-failed address=203.0.113.7 reason=credentials repeated=70 "),
            std::string::npos);
}

// An attack from everywhere: a line or two of each network are too many as well.
TEST(Flood, CountsWhatComesFromEverywhere) {
  Flood flood;
  flood.set_lines_max(5);
  int admitted = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string front = std::to_string(1 + i / 200) + "." + std::to_string(i % 200) + ".1.1:1";
    admitted += flood.admits(line_of("turned-away", front, "unauthenticated"), start) ? 1 : 0;
  }
  EXPECT_EQ(admitted, 50);
  EXPECT_EQ(texts(flood.take_summaries(instant_never)),
            "turned-away reason=unauthenticated repeated=19950 seconds=10 text=\"19,950 more like this\"\n");
}

// A peer's bytes in another field do not make a subject of their own, and not another event's.
TEST(Flood, IsNotFooledByValues) {
  Flood flood;
  flood.set_lines_max(1);
  const auto attack = [](int i) {
    LogLine line(Severity::Info, "login-failed");
    line.add("session", "1").add("front", "203.0.113.7:1");
    line.add("user", "joe front=192.0.2." + std::to_string(i) + ":1 reason=" + std::to_string(i) + "\" x=\"");
    line.add("reason", "credentials");
    return line;
  };
  EXPECT_TRUE(flood.admits(attack(1), start));
  for (int i = 2; i < 100; ++i)
    EXPECT_FALSE(flood.admits(attack(i), start));
}

}  // namespace
}  // namespace postern::control
