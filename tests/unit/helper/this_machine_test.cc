// SPDX-License-Identifier: GPL-3.0-or-later
// Which hosts need no TLS: only this machine, and no name that merely looks like it.
#include "helper/this_machine.h"

#include <gtest/gtest.h>

#include <string_view>

#include "helper/curl.h"

namespace postern::helper {
namespace {

TEST(ThisMachine, IsLocalhostAndLoopback) {
  for (const std::string_view host :
       {"localhost", "LocalHost", "127.0.0.1", "127.255.255.254", "127.0.1.1", "::1", "[::1]", "0:0:0:0:0:0:0:1"}) {
    EXPECT_TRUE(is_this_machine(host)) << host;
  }
}

TEST(ThisMachine, IsNoNameThatBeginsLikeIt) {
  for (const std::string_view host : {"",
                                      "127.evil.example",
                                      "127.0.0.1.evil.example",
                                      "localhost.evil.example",
                                      "evil.localhost.example",
                                      "xlocalhost",
                                      "localhostx",
                                      "localhost ",
                                      " localhost",
                                      "::1.evil.example",
                                      "::10",
                                      "::2",
                                      "[::1].evil.example",
                                      "::1evil",
                                      "127",
                                      "127.",
                                      "127.1",
                                      "127.0.0.",
                                      "127.0.0.256",
                                      "127.0.0.1\n",
                                      "0127.0.0.1",
                                      "0x7f.0.0.1",
                                      "2130706433",
                                      "128.0.0.1",
                                      "126.255.255.255",
                                      "0.0.0.0",
                                      "::",
                                      "192.0.2.1",
                                      "2001:db8::1",
                                      "db"}) {
    EXPECT_FALSE(is_this_machine(host)) << host;
  }
  EXPECT_FALSE(is_this_machine(std::string_view("localhost\0.evil.example", 23)));
  EXPECT_FALSE(is_this_machine(std::string_view("127.0.0.1\0.evil.example", 23)));
}

TEST(ThisMachine, DecidesWhetherAUrlIsInClear) {
  for (const char* url :
       {"http://127.evil.example/a", "http://127.0.0.1@evil.example/", "http://localhost.evil.example/",
        "http://[2001:db8::1]/", "http://127.0.0.1.evil.example:127/"}) {
    EXPECT_TRUE(goes_in_clear({url, "", ""})) << url;
    EXPECT_FALSE(goes_in_clear({url, "/run/auth.sock", ""})) << url;
  }
  for (const char* url : {"http://127.0.0.1:8080/a", "http://localhost/", "http://[::1]:1/", "https://evil.example/"})
    EXPECT_FALSE(goes_in_clear({url, "", ""})) << url;
}

}  // namespace
}  // namespace postern::helper
