// SPDX-License-Identifier: GPL-3.0-or-later
// Pools: in which order members are tried, what they are said to be able to do, how many sessions they get.
#include <gtest/gtest.h>

#include <map>

#include "session/choice.h"
#include "session/counts.h"
#include "session/pool_view.h"

namespace postern::session {
namespace {

const Instant now = Instant(std::chrono::hours(1000));

Endpoint member(int number) {
  return *Endpoint::parse("127.0.1." + std::to_string(number) + ":143");
}

PoolView view_of_members(int count, uint32_t weight_of_first = 1) {
  PoolView view;
  for (int i = 1; i <= count; ++i)
    view.members.push_back({member(i), i == 1 ? weight_of_first : 1});
  return view;
}

struct Site {
  PoolOptions pool;
  PoolView view = view_of_members(3);
  BackHealth health;
  Counts counts;

  std::vector<Endpoint> order(std::string_view user = "joe") const {
    return choose_order(pool, view, health, counts, user, now);
  }
  void load(int number, int sessions) {
    for (int i = 0; i < sessions; ++i)
      ASSERT_TRUE(counts.take(member(number), 0));
  }
};

TEST(Choice, KeepsTheOrderOfTheFile) {
  const Site site;
  EXPECT_EQ(site.order(), (std::vector{member(1), member(2), member(3)}));
}

TEST(Choice, AsksThoseThatAreDownLast) {
  Site site;
  site.view.members[0].down = true;                              // by its health check
  site.health.failed(member(2), std::chrono::seconds(10), now);  // by a login
  EXPECT_EQ(site.order(), (std::vector{member(3), member(1), member(2)}));
}

TEST(Choice, PrefersFewSessionsForTheWeight) {
  Site site;
  site.pool.balance = Balance::LeastSessions;
  site.load(1, 5);
  site.load(2, 3);
  site.load(3, 4);
  EXPECT_EQ(site.order(), (std::vector{member(2), member(3), member(1)}));
  site.view = view_of_members(3, 10);
  EXPECT_EQ(site.order().front(), member(1));
}

TEST(Choice, LetsAMemberThatIsBackStartSlowly) {
  Site site;
  site.pool.balance = Balance::LeastSessions;
  site.pool.slow_start = std::chrono::seconds(100);
  site.load(2, 5);
  site.load(3, 5);
  site.view.members[0].up_since = now;  // a tenth of its weight: as if it had ten times as many
  site.load(1, 1);
  EXPECT_EQ(site.order().front(), member(2));
  site.view.members[0].up_since = now - std::chrono::seconds(100);
  EXPECT_EQ(site.order().front(), member(1));
}

TEST(Choice, SendsAUserToTheSameMember) {
  Site site;
  site.pool.balance = Balance::UserHash;
  std::map<Endpoint, int, decltype([](const Endpoint& l, const Endpoint& r) { return l.text() < r.text(); })> share;
  for (int i = 0; i < 3000; ++i) {
    const std::string user = "user" + std::to_string(i);
    const std::vector<Endpoint> order = site.order(user);
    share[order.front()]++;
    // One that goes takes only its own users along.
    Site smaller;
    smaller.pool.balance = Balance::UserHash;
    smaller.view = view_of_members(2);
    if (order.front() != member(3)) {
      EXPECT_EQ(smaller.order(user).front(), order.front());
    }
  }
  for (int i = 1; i <= 3; ++i)
    EXPECT_NEAR(share[member(i)], 1000, 150);
}

TEST(Counts, HoldTheLimitAndForgetWhoLeft) {
  Counts counts;
  EXPECT_TRUE(counts.take(member(1), 2));
  EXPECT_TRUE(counts.take(member(1), 2));
  EXPECT_FALSE(counts.take(member(1), 2));
  EXPECT_EQ(counts.of(member(1)), 2u);
  counts.release(member(1));
  EXPECT_TRUE(counts.take(member(1), 2));
  EXPECT_TRUE(counts.take_user("joe", 1));
  EXPECT_FALSE(counts.take_user("joe", 1));
  counts.release_user("joe");
  EXPECT_TRUE(counts.take_user("joe", 1));
  counts.release(member(9));  // never taken: nothing
  EXPECT_EQ(counts.of(member(9)), 0u);
}

TEST(Capabilities, AreWhatAllHave) {
  EXPECT_EQ(shared_capabilities({}), "");
  EXPECT_EQ(shared_capabilities({"IDLE\nMOVE"}), "IDLE\nMOVE");
  EXPECT_EQ(shared_capabilities({"IDLE\nMOVE\nSORT", "idle\nSORT"}), "IDLE\nSORT");
  EXPECT_EQ(shared_capabilities({"SIZE 2000\nDSN", "SIZE 1000\nDSN", "DSN\nSIZE 3000"}), "SIZE 1000\nDSN");
  EXPECT_EQ(shared_capabilities({"SIZE 2000", "DSN"}), "");
  EXPECT_EQ(shared_capabilities({"\"SIEVE\" \"fileinto reject vacation\"", "\"SIEVE\" \"vacation fileinto\""}),
            "\"SIEVE\" \"fileinto vacation\"");
  EXPECT_EQ(shared_capabilities({"\"NOTIFY\" \"mailto\"", "\"NOTIFY\" \"xmpp\""}), "");
}

TEST(View, HoldsAddressesBeforeNamesAreLookedUp) {
  PoolOptions pool;
  pool.members = {{"127.0.1.1", 143, 2, member(1)}, {"store.example.test", 143, 1, std::nullopt}};
  const PoolView view = view_of(pool);
  ASSERT_EQ(view.members.size(), 1u);
  EXPECT_EQ(view.members[0].endpoint, member(1));
  EXPECT_EQ(view.members[0].weight, 2u);
}

}  // namespace
}  // namespace postern::session
