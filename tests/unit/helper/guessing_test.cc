// SPDX-License-Identifier: GPL-3.0-or-later
// Guessing under a false clock: who is delayed, who is blocked, and who is not.
#include "helper/guessing/guessing.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "helper/options.h"

namespace postern::helper {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class GuessingTest : public testing::Test {
 protected:
  GuessingOptions options() {
    GuessingOptions options;
    options.block_after = 4;
    options.block_after_user = 8;
    options.block_after_net = 6;
    options.window = hours(1);
    options.block_for = minutes(15);
    options.delay_first = seconds(1);
    options.delay_max = seconds(15);
    return options;
  }
  Guessing make(GuessingOptions options) {
    return Guessing(
        std::move(options), [this] { return now_; }, [this](const LogLine& line) { lines_.push_back(line.text()); });
  }

  static Attempt attempt(const Guessing& guessing, std::string user, std::string client, std::string password,
                         std::string protocol = "imap") {
    Attempt attempt;
    attempt.digest = guessing.digest(user, password);
    attempt.user = std::move(user);
    attempt.client = Endpoint::parse(client, 1);
    attempt.protocol = std::move(protocol);
    return attempt;
  }
  // As the daemon does: not looked at while blocked. Gives what was said before.
  static Judgement tries(Guessing& guessing, const Attempt& attempt, Outcome outcome = Outcome::Wrong) {
    Judgement judgement = guessing.before(attempt);
    if (std::holds_alternative<Go>(judgement)) guessing.after(attempt, outcome);
    return judgement;
  }
  // `count` wrong passwords, each another one.
  static void guess(Guessing& guessing, const std::string& user, const std::string& client, int count) {
    static int number = 0;
    for (int i = 0; i < count; ++i)
      tries(guessing, attempt(guessing, user, client, "wrong " + std::to_string(number++)));
  }
  // "go", "blocked user for 900000"
  static std::string said(const Judgement& judgement) {
    if (std::holds_alternative<Go>(judgement)) return "go";
    const Blocked& blocked = std::get<Blocked>(judgement);
    return "blocked " + std::string(counter_word(blocked.counter)) + " for " + std::to_string(blocked.left.count());
  }
  static std::string asks(Guessing& guessing, const std::string& user, const std::string& client) {
    return said(guessing.before(attempt(guessing, user, client, "right")));
  }
  size_t lines_with(const std::string& text) const {
    size_t count = 0;
    for (const std::string& line : lines_)
      count += line.find(text) != line.npos ? 1 : 0;
    return count;
  }

  Instant now_{hours(1000)};
  std::vector<std::string> lines_;
};

TEST_F(GuessingTest, DelaysGrowWithEachDistinctWrongPasswordAndEnd) {
  GuessingOptions patient = options();
  patient.block_after = patient.block_after_user = patient.block_after_net = 0;
  Guessing guessing = make(std::move(patient));
  std::vector<int64_t> delays;
  for (int i = 0; i < 7; ++i) {
    const Judgement judgement = tries(guessing, attempt(guessing, "joe", "192.0.2.1", std::to_string(i)));
    delays.push_back(std::get<Go>(judgement).delay.count());
  }
  EXPECT_EQ(delays, (std::vector<int64_t>{0, 1000, 2000, 4000, 8000, 15000, 15000}));
  guess(guessing, "joe", "192.0.2.1", 1000);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go") << "nothing blocks where no limit is set";
}

TEST_F(GuessingTest, OneUserFromOneNetworkIsBlockedForAWhileOverAllProtocols) {
  Guessing guessing = make(options());
  const char* protocols[] = {"imap", "pop3", "submission", "sieve"};
  for (int i = 0; i < 4; ++i)
    tries(guessing, attempt(guessing, "joe", "192.0.2.1", std::to_string(i), protocols[i]));
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "blocked user_at_network for 900000");
  EXPECT_EQ(asks(guessing, "ann", "192.0.2.1"), "go");
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.2"), "go");
  now_ += minutes(10);
  guess(guessing, "joe", "192.0.2.1", 50);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "blocked user_at_network for 300000") << "a block is not prolonged";
  now_ += minutes(5);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
}

TEST_F(GuessingTest, OneWrongSavedPasswordIsOneHoweverOftenItIsTried) {
  Guessing guessing = make(options());
  for (int i = 0; i < 1000; ++i) {
    now_ += seconds(2);
    const Judgement judgement = tries(guessing, attempt(guessing, "joe", "192.0.2.1", "old password"));
    ASSERT_EQ(said(judgement), "go") << i;
    ASSERT_EQ(std::get<Go>(judgement).delay, i == 0 ? seconds(0) : seconds(1));
  }
  EXPECT_EQ(lines_with("reason=password count=1"), 1u);
  EXPECT_EQ(lines_with("reason=repeated count=1"), 999u);
}

TEST_F(GuessingTest, TheSamePasswordForManyUsersIsManyGuesses) {
  Guessing guessing = make(options());
  for (int i = 0; i < 6; ++i)
    tries(guessing, attempt(guessing, "user" + std::to_string(i), "192.0.2.1", "Summer2026"));
  EXPECT_EQ(asks(guessing, "ann", "192.0.2.1"), "blocked network for 900000");
  EXPECT_EQ(asks(guessing, "ann", "192.0.2.2"), "go");
}

TEST_F(GuessingTest, AnAttackFromEverywhereDoesNotLockTheOwnerOut) {
  Guessing guessing = make(options());
  tries(guessing, attempt(guessing, "joe", "198.51.100.7", "right"), Outcome::Right);
  for (int i = 0; i < 8; ++i)
    guess(guessing, "joe", "192.0.2." + std::to_string(i), 1);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.99"), "blocked user for 900000");
  EXPECT_EQ(asks(guessing, "joe", "198.51.100.7"), "go") << "home";
  EXPECT_EQ(asks(guessing, "ann", "192.0.2.99"), "go");
  guess(guessing, "joe", "198.51.100.7", 4);
  EXPECT_EQ(asks(guessing, "joe", "198.51.100.7"), "blocked user_at_network for 900000") << "home is no free pass";
}

TEST_F(GuessingTest, ANeighbourWhoGuessesDoesNotLockTheOfficeOut) {
  Guessing guessing = make(options());
  tries(guessing, attempt(guessing, "joe", "192.0.2.1", "right"), Outcome::Right);
  for (int i = 0; i < 6; ++i)
    guess(guessing, "user" + std::to_string(i), "192.0.2.1", 1);
  EXPECT_EQ(asks(guessing, "stranger", "192.0.2.1"), "blocked network for 900000");
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
}

TEST_F(GuessingTest, MistakesAtHomeDoNotLockTheUserOutElsewhere) {
  GuessingOptions strict = options();
  strict.block_after = 100;
  Guessing guessing = make(std::move(strict));
  tries(guessing, attempt(guessing, "joe", "198.51.100.7", "right"), Outcome::Right);
  guess(guessing, "joe", "198.51.100.7", 20);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
}

TEST_F(GuessingTest, ANetworkIsForgottenAfterAWhileAndWhenThereAreTooManyOfThem) {
  GuessingOptions forgetful = options();
  forgetful.known_for = hours(24);
  forgetful.block_for = hours(48);
  Guessing guessing = make(std::move(forgetful));
  tries(guessing, attempt(guessing, "joe", "198.51.100.1", "right"), Outcome::Right);
  for (int i = 0; i < 8; ++i)
    guess(guessing, "joe", "192.0.2." + std::to_string(i), 1);
  now_ += hours(24) - seconds(1);
  EXPECT_EQ(asks(guessing, "joe", "198.51.100.1"), "go");
  for (uint32_t i = 0; i < known_nets_max; ++i) {
    // The one way to a new network is the right password, which a block does not look at: as if it had been earlier.
    guessing.after(attempt(guessing, "joe", "198.51.100." + std::to_string(100 + i), "right"), Outcome::Right);
  }
  EXPECT_EQ(asks(guessing, "joe", "198.51.100.115"), "go");
  EXPECT_NE(asks(guessing, "joe", "198.51.100.1"), "go") << "the oldest made room";
  now_ += hours(24);
  EXPECT_NE(asks(guessing, "joe", "198.51.100.115"), "go") << "a day is over";
}

TEST_F(GuessingTest, TheRightPasswordForgetsTheUsersOwnMistakesThereAndNobodyElses) {
  Guessing guessing = make(options());
  guess(guessing, "joe", "192.0.2.1", 3);
  guess(guessing, "ann", "192.0.2.1", 2);
  tries(guessing, attempt(guessing, "joe", "192.0.2.1", "right"), Outcome::Right);
  guess(guessing, "joe", "192.0.2.1", 3);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
  EXPECT_EQ(asks(guessing, "bob", "192.0.2.1"), "blocked network for 900000")
      << "an attacker's own account does not clear his network";
}

TEST_F(GuessingTest, NoVerdictChangesNothing) {
  Guessing guessing = make(options());
  for (int i = 0; i < 100; ++i)
    tries(guessing, attempt(guessing, "joe", "192.0.2.1", std::to_string(i)), Outcome::NoVerdict);
  EXPECT_EQ(guessing.size(), 0u);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
  EXPECT_TRUE(lines_.empty());
}

TEST_F(GuessingTest, AnUnknownUserCountsLikeAKnownOne) {
  Guessing guessing = make(options());
  std::vector<std::string> heard[2];
  const Outcome outcomes[] = {Outcome::Wrong, Outcome::UnknownUser};
  for (size_t kind = 0; kind < 2; ++kind) {
    const std::string user = "u" + std::to_string(kind), client = "192.0.2." + std::to_string(kind);
    for (int i = 0; i < 6; ++i) {
      const Judgement judgement = tries(guessing, attempt(guessing, user, client, std::to_string(i)), outcomes[kind]);
      const Go* go = std::get_if<Go>(&judgement);
      heard[kind].push_back(said(judgement) + (go != nullptr ? " " + std::to_string(go->delay.count()) : ""));
    }
  }
  EXPECT_EQ(heard[0], heard[1]);
  EXPECT_EQ(heard[1][4], "blocked user_at_network for 900000");
  EXPECT_GT(lines_with("reason=user "), 0u);
}

TEST_F(GuessingTest, AnIpv6CustomerIsOneNetwork) {
  Guessing guessing = make(options());
  for (int i = 0; i < 4; ++i)
    guess(guessing, "joe", "2001:db8:0:1::" + std::to_string(i + 1), 1);
  EXPECT_NE(asks(guessing, "joe", "2001:db8:0:1:ffff::9"), "go");
  EXPECT_EQ(asks(guessing, "joe", "2001:db8:0:2::1"), "go");
  EXPECT_EQ(Subnet::of(*Endpoint::parse("[2001:db8:0:1:ffff::9]:1")).text(), "2001:db8:0:1::/64");
  EXPECT_EQ(Subnet::of(*Endpoint::parse("192.0.2.7:1")).text(), "192.0.2.7/32");
}

TEST_F(GuessingTest, AllowedNetworksAreNeitherBlockedNorCounted) {
  GuessingOptions allowing = options();
  allowing.allow_nets = {*Network::parse("192.0.2.0/24"), *Network::parse("2001:db8::/32")};
  Guessing guessing = make(std::move(allowing));
  guess(guessing, "joe", "192.0.2.77", 100);
  guess(guessing, "joe", "2001:db8::1", 100);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.77"), "go");
  EXPECT_EQ(asks(guessing, "joe", "203.0.113.1"), "go");
  EXPECT_EQ(guessing.size(), 0u);
  Guessing as_it_comes = make(options());
  guess(as_it_comes, "joe", "127.0.0.1", 100);
  EXPECT_EQ(asks(as_it_comes, "joe", "127.0.0.1"), "go");
}

TEST_F(GuessingTest, WithoutAnAddressOnlyTheUserIsCounted) {
  Guessing guessing = make(options());
  guess(guessing, "joe", "not an address", 8);
  EXPECT_EQ(asks(guessing, "joe", "not an address"), "blocked user for 900000");
  EXPECT_EQ(asks(guessing, "ann", "not an address"), "go");
}

TEST_F(GuessingTest, WhatIsOlderThanTheWindowIsForgotten) {
  Guessing guessing = make(options());
  guess(guessing, "joe", "192.0.2.1", 3);
  now_ += minutes(59);
  EXPECT_GT(std::get<Go>(guessing.before(attempt(guessing, "joe", "192.0.2.1", "x"))).delay, seconds(0));
  now_ += minutes(1);
  EXPECT_EQ(std::get<Go>(guessing.before(attempt(guessing, "joe", "192.0.2.1", "x"))).delay, seconds(0));
  guess(guessing, "joe", "192.0.2.1", 3);
  EXPECT_EQ(asks(guessing, "joe", "192.0.2.1"), "go");
}

TEST_F(GuessingTest, RandomAttemptsStayWithinTheBoundAndWashNoBlockAway) {
  GuessingOptions small = options();
  small.entries_max = 5000;
  Guessing guessing = make(std::move(small));
  guess(guessing, "joe", "203.0.113.7", 4);
  guess(guessing, "ann", "203.0.113.8", 3);
  std::mt19937_64 dice(1);
  Attempt attempt;
  attempt.protocol = "imap";
  attempt.client = Endpoint();
  // Forty times what there is room for.
  for (int i = 0; i < 200000; ++i) {
    attempt.user = std::to_string(dice());
    attempt.digest = dice();
    attempt.client->v6 = (i & 1) != 0;
    for (uint8_t& byte : attempt.client->address)
      byte = static_cast<uint8_t>(dice());
    guessing.after(attempt, Outcome::UnknownUser);
    if (i % 1000 == 0) lines_.clear();
  }
  EXPECT_LE(guessing.size(), 5000u);
  EXPECT_EQ(asks(guessing, "joe", "203.0.113.7"), "blocked user_at_network for 900000");
  guess(guessing, "ann", "203.0.113.8", 1);
  EXPECT_NE(asks(guessing, "ann", "203.0.113.8"), "go") << "who has tried more is remembered longer";
}

TEST_F(GuessingTest, WhatIsOverMakesRoomBeforeWhatCounts) {
  GuessingOptions small = options();
  small.entries_max = 100;
  small.window = hours(10);
  Guessing guessing = make(std::move(small));
  // Blocked as far as possible: each attacker leaves a block and two counters of four or none.
  for (int i = 0; i < 33; ++i)
    guess(guessing, "u" + std::to_string(i), "198.51.100." + std::to_string(i), 4);
  now_ += hours(11);
  guess(guessing, "joe", "203.0.113.7", 2);
  for (int i = 0; i < 10; ++i)
    guess(guessing, "w" + std::to_string(i), "192.0.2." + std::to_string(i), 1);
  guess(guessing, "joe", "203.0.113.7", 2);
  EXPECT_NE(asks(guessing, "joe", "203.0.113.7"), "go");
  EXPECT_LE(guessing.size(), 100u);
}

TEST_F(GuessingTest, OtherSettingsAfterAReloadKeepTheCounts) {
  Guessing guessing = make(options());
  guess(guessing, "joe", "192.0.2.1", 4);
  GuessingOptions other = options();
  other.allow_nets = {*Network::parse("192.0.2.2/32")};
  Guessing reloaded(std::move(other), guessing);
  EXPECT_NE(asks(reloaded, "joe", "192.0.2.1"), "go");
  EXPECT_EQ(asks(reloaded, "joe", "192.0.2.2"), "go");
}

TEST_F(GuessingTest, LogLinesHaveStableFieldsAndNoSecret) {
  Guessing guessing = make(options());
  for (int i = 0; i < 5; ++i) {
    Attempt one = attempt(guessing, "joe client=192.0.2.99", "[2001:db8::1]:4711", "s3cret" + std::to_string(i));
    one.session = "9f2c";
    tries(guessing, one);
  }
  const std::string user = "user=\"joe client=192.0.2.99\" session=9f2c";
  EXPECT_EQ(lines_, (std::vector<std::string>{
                        "guess client=2001:db8::1 protocol=imap reason=password count=1 " + user,
                        "guess client=2001:db8::1 protocol=imap reason=password count=2 " + user,
                        "guess client=2001:db8::1 protocol=imap reason=password count=3 " + user,
                        "guess client=2001:db8::1 protocol=imap reason=password count=4 " + user,
                        "block client=2001:db8::1 protocol=imap reason=user_at_network for=15m " + user,
                        "blocked client=2001:db8::1 protocol=imap reason=user_at_network left=900 " + user,
                    }));
}

TEST_F(GuessingTest, DigestsOfTwoStartsHaveNothingInCommonButWithASharedKey) {
  const Guessing one = make(options()), two = make(options());
  EXPECT_NE(one.digest("joe", "x"), two.digest("joe", "x"));
  EXPECT_EQ(one.digest("joe", "x"), one.digest("joe", "x"));
  EXPECT_NE(one.digest("joe", "x"), one.digest("ann", "x"));
  GuessingOptions shared[2] = {options(), options()};
  for (GuessingOptions& options : shared)
    options.digest_key = Secret("key");
  const Guessing three = make(std::move(shared[0])), four = make(std::move(shared[1]));
  EXPECT_EQ(three.digest("joe", "x"), four.digest("joe", "x"));
}

TEST(GuessingSettings, AreReadAndMistakesNamed) {
  const ReadResult read = parse_options(R"([guessing]
block_after = 5
block_after_user = 6
block_after_net = 7
window = "10m"
block_for = "5m"
delay_first = "500ms"
delay_max = "20s"
allow_nets = ["192.0.2.0/24"]
known_for = "48h"
entries_max = 1000
shared = "unix:/run/redis.sock"
shared_timeout = "50ms"
policy_url = "http://127.0.0.1:8084/"
policy_timeout = "1s"
)",
                                        "f.toml");
  EXPECT_EQ(read.problems, std::vector<std::string>{});
  EXPECT_EQ(read.options.guessing.block_after_net, 7u);
  EXPECT_EQ(read.options.guessing.allow_nets.size(), 1u);
  EXPECT_EQ(read.options.guessing.shared, "unix:/run/redis.sock");
  const ReadResult wrong = parse_options(R"([guessing]
block_afterr = 5
allow_nets = ["192.0.2.300"]
shared = "redis.example.test:6379"
policy_url = "ftp://x"
digest_key_file = "/nowhere/key"
)",
                                         "f.toml");
  ASSERT_EQ(wrong.problems.size(), 5u);
  EXPECT_EQ(wrong.problems[0], "f.toml:2: [guessing] has no setting \"block_afterr\"; did you mean \"block_after\"?");
  EXPECT_NE(wrong.problems[1].find("f.toml:3: allow_nets"), std::string::npos);
  EXPECT_NE(wrong.problems[2].find("\"127.0.0.1:6379\""), std::string::npos);
  EXPECT_NE(wrong.problems[4].find("/nowhere/key"), std::string::npos);
}

}  // namespace
}  // namespace postern::helper
