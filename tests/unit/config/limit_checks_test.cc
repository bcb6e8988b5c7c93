// SPDX-License-Identifier: GPL-3.0-or-later
// Limits that do not go together are said, and only those that somebody has written.
#include <gtest/gtest.h>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

std::string limits(const std::string& lines) {
  return sentences(
      "[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n[limits]\n" + lines);
}

std::string never(const std::string& inner, int value, const std::string& outer, int bound) {
  return "warning: f:6: " + inner + " in [limits] is " + std::to_string(value) + " and can never be reached, since " +
         outer + " is " + std::to_string(bound) + ". Lower the one or raise the other.\n";
}

TEST(LimitChecks, SayWhatCanNeverBeReached) {
  EXPECT_EQ(limits("sessions_per_address = 11\nsessions = 10\n"), never("sessions_per_address", 11, "sessions", 10));
  EXPECT_EQ(limits("sessions_per_network = 11\nsessions = 10\n"), never("sessions_per_network", 11, "sessions", 10));
  EXPECT_EQ(limits("sessions_per_user = 11\nsessions = 10\n"), never("sessions_per_user", 11, "sessions", 10));
  EXPECT_EQ(limits("unauthenticated = 11\nsessions = 10\n"), never("unauthenticated", 11, "sessions", 10));
  EXPECT_EQ(limits("sessions_per_address = 11\nsessions_per_network = 10\n"),
            never("sessions_per_address", 11, "sessions_per_network", 10));
  EXPECT_EQ(limits("unauthenticated_per_address = 11\nsessions_per_address = 10\n"),
            never("unauthenticated_per_address", 11, "sessions_per_address", 10));
  EXPECT_EQ(limits("unauthenticated_per_address = 11\nunauthenticated = 10\n"),
            never("unauthenticated_per_address", 11, "unauthenticated", 10));
  EXPECT_EQ(limits("handshake_rate_per_address = 11\nhandshake_rate = 10\n"),
            never("handshake_rate_per_address", 11, "handshake_rate", 10));
}

// A small gate need not repeat every default; equal numbers and switched-off limits are fine.
TEST(LimitChecks, KeepQuietWhereNothingIsWrong) {
  EXPECT_EQ(limits("sessions = 10\n"), "");
  EXPECT_EQ(limits("unauthenticated = 5\n"), "");
  EXPECT_EQ(limits("sessions_per_address = 10\nsessions = 10\n"), "");
  EXPECT_EQ(limits("sessions_per_address = 100\nsessions_per_network = 0\n"), "");
  EXPECT_EQ(limits("sessions_per_network = 100\nnetwork_prefix_v4 = 20\nnetwork_prefix_v6 = 56\n"), "");
  EXPECT_EQ(limits("memory = \"64MiB\"\n"), "");
  EXPECT_EQ(limits("memory = \"0B\"\n"), "");
  EXPECT_EQ(limits("exempt = []\n"), "");
  EXPECT_EQ(limits("login_timeout = \"5s\"\n"), "");
}

TEST(LimitChecks, SayWhatChangesNothingOrTooMuch) {
  EXPECT_EQ(
      limits("network_prefix_v4 = 20\n"),
      "warning: f:6: network_prefix_v4 in [limits] changes nothing without sessions_per_network. Set that too, or "
      "take it out.\n");
  EXPECT_EQ(limits("exempt = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n"),
            "warning: f:6: exempt in [limits] has everybody: nobody is held to a limit by address. Name only your own "
            "hosts.\n");
  EXPECT_EQ(
      limits("memory = \"63MiB\"\n"),
      "warning: f:6: memory in [limits] is \"63MiB\", which the gate needs for itself: nobody might be let in. Set "
      "\"64MiB\" or more.\n");
  EXPECT_EQ(
      limits("handshake_timeout = \"2m\"\n"),
      "warning: f:6: handshake_timeout in [limits] is \"2m\", and login_timeout, which begins at the same moment, "
      "ends before: \"1m\". Lower the one or raise the other.\n");
}

}  // namespace
}  // namespace postern::config
