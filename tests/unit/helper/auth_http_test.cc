// SPDX-License-Identifier: GPL-3.0-or-later
// What is understood of an auth_http daemon's answer, and what is said to it, without a daemon.
#include <gtest/gtest.h>

#include <string>

#include "helper/sources/auth_http.h"

namespace postern::helper {
namespace {

TEST(AuthHttp, EscapesWhatNginxEscapes) {
  const std::string all("\0\t\n %+&=\"\x7f\xc3\xa9", 12);
  EXPECT_EQ(escaped_for_auth_http(all).reveal(), "%00%09%0A%20%25+&=\"\x7f\xc3\xa9");
  EXPECT_TRUE(escaped_for_auth_http("").empty());
}

TEST(AuthHttp, WhatCouldKeepSomebodyOutCounts) {
  using Status = AuthHttpAnswer::Status;
  EXPECT_EQ(parse_auth_http("").status, Status::Unsaid);
  EXPECT_EQ(parse_auth_http("HTTP/1.0 200 OK\r\n\r\nAuth-Status: OK\r\n").status, Status::Unsaid) << "a body";
  EXPECT_EQ(parse_auth_http("Auth-Status: OK\r\n").status, Status::Ok);
  EXPECT_EQ(parse_auth_http("Auth-Status: ok\r\n").status, Status::Failure) << "case matters";
  EXPECT_EQ(parse_auth_http("Auth-Status:\r\n").status, Status::Failure);
  EXPECT_EQ(parse_auth_http("Auth-Status: WAIT\nAuth-Status: OK\n").status, Status::Wait);
  const AuthHttpAnswer both = parse_auth_http("AUTH-STATUS:   No, never  \r\nAuth-Status: OK\r\n");
  EXPECT_EQ(both.status, Status::Failure);
  EXPECT_EQ(both.text, "No, never");
  EXPECT_EQ(parse_auth_http("Auth-Wait: 5\r\n").wait_s, 5u);
  EXPECT_EQ(parse_auth_http("Auth-Wait: soon\r\n").wait_s, std::nullopt);
  EXPECT_EQ(parse_auth_http("Auth-Wait: 99999999999\r\n").wait_s, std::nullopt);
}

std::string back_of(const std::string& lines, bool has_default_back = false) {
  const absl::StatusOr<Route> route = route_of_auth_http(parse_auth_http(lines), has_default_back);
  if (!route.ok()) return "wrong: " + std::string(route.status().message());
  return route->backs.empty() ? "none" : route->backs[0];
}

TEST(AuthHttp, AServerIsABareAddressWithAPort) {
  EXPECT_EQ(back_of("Auth-Server: 192.0.2.7\r\nAuth-Port: 143\r\n"), "192.0.2.7:143");
  EXPECT_EQ(back_of("Auth-Server: 2001:db8::7\nAuth-Port: 993\n"), "[2001:db8::7]:993");
  EXPECT_EQ(back_of("", true), "none");
  for (const char* lines : {"", "Auth-Server: 192.0.2.7\r\n", "Auth-Port: 143\r\n"})
    EXPECT_NE(back_of(lines).find("without Auth-Server and Auth-Port"), std::string::npos) << lines;
  for (const char* server : {"mx.example.test", "[2001:db8::7]", "192.0.2.7:25", "unix:/run/x", "192.0.2.7 "})
    EXPECT_EQ(back_of("Auth-Port: 1\r\nAuth-Server: " + std::string(server) + "x\r\n").substr(0, 6), "wrong:")
        << server;
  for (const char* port : {"0", "65536", "-1", "143x", "4294967439"})
    EXPECT_EQ(back_of("Auth-Server: 192.0.2.7\r\nAuth-Port: " + std::string(port) + "\r\n").substr(0, 6), "wrong:")
        << port;
}

TEST(AuthHttp, SaysHowToLogInThere) {
  const std::string server = "Auth-Server: 192.0.2.7\r\nAuth-Port: 143\r\n";
  const absl::StatusOr<Route> plain = route_of_auth_http(
      parse_auth_http(server + "Auth-User: box\r\nAuth-Pass: a%20b\r\nAuth-Cache-TTL: 0\r\n"), false);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->user, "box");
  EXPECT_EQ(plain->password.reveal(), "a%20b") << "answers are not decoded";
  EXPECT_EQ(plain->ttl_s, 1u);
  const absl::StatusOr<Route> master =
      route_of_auth_http(parse_auth_http(server + "Auth-Master-User: boss\r\nAuth-Pass: x\r\n"), false);
  ASSERT_TRUE(master.ok());
  EXPECT_EQ(master->master_password.reveal(), "x");
  EXPECT_TRUE(master->password.empty());
  for (const char* wrong : {"Auth-Master-User: boss", "Auth-TLS: maybe", "Auth-Mech: CRAM-MD5", "Auth-Cache-TTL: x"})
    EXPECT_FALSE(route_of_auth_http(parse_auth_http(server + wrong + "\r\n"), false).ok()) << wrong;
}

TEST(AuthHttp, TellsTroubleFromRefusal) {
  const auto lookup = [](const std::string& lines) { return refusal_of_auth_http(parse_auth_http(lines)); };
  for (const char* lines : {"Auth-Status: [UNAVAILABLE] x\r\n", "Auth-Status: [SYS/TEMP] x\r\n",
                            "Auth-Status: x\r\nAuth-Error-Code: 451 4.3.0\r\n"})
    EXPECT_TRUE(std::holds_alternative<SourceFailure>(lookup(lines))) << lines;
  const Lookup refused = lookup("Auth-Status: [EXPIRED] Too late\r\nAuth-Error-Code: 535 5.7.8\r\nAuth-Wait: 2\r\n");
  ASSERT_TRUE(std::holds_alternative<Refused>(refused));
  EXPECT_EQ(std::get<Refused>(refused).code, "EXPIRED");
  EXPECT_EQ(std::get<Refused>(refused).text, "Too late");
  EXPECT_EQ(std::get<Refused>(refused).delay, std::chrono::seconds(2));
  EXPECT_EQ(std::get<Refused>(lookup("Auth-Status: [half\r\n")).text, "[half");
}

}  // namespace
}  // namespace postern::helper
