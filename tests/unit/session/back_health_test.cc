// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/back_health.h"

#include <gtest/gtest.h>

namespace postern::session {
namespace {

using std::chrono::seconds;

const Endpoint first = *Endpoint::parse("127.0.1.1:143");
const Endpoint second = *Endpoint::parse("127.0.1.2:143");
const Endpoint third = *Endpoint::parse("127.0.1.3:143");
constexpr Instant now = Instant(seconds(1000));

// A failed member is asked last, until its time is over or it has served; the order is kept otherwise.
TEST(BackHealth, AsksFailedMembersLast) {
  BackHealth health;
  const std::vector<Endpoint> members = {first, second, third};
  EXPECT_EQ(health.order(members, now), members);
  EXPECT_TRUE(health.failed(first, seconds(10), now)) << "news";
  EXPECT_FALSE(health.failed(first, seconds(10), now)) << "no news";
  EXPECT_EQ(health.order(members, now), (std::vector<Endpoint>{second, third, first}));
  EXPECT_EQ(health.order(members, now + seconds(10)), members);
  EXPECT_TRUE(health.served(first));
  EXPECT_FALSE(health.served(first));
  EXPECT_EQ(health.order(members, now), members);
}

// A helper that names ever new addresses does not fill the memory.
TEST(BackHealth, IsBounded) {
  BackHealth health;
  Endpoint member = first;
  for (size_t i = 0; i < BackHealth::entries_max + 1; ++i) {
    member.address[2] = static_cast<uint8_t>(i >> 8);
    member.address[3] = static_cast<uint8_t>(i);
    health.failed(member, seconds(10), now);
  }
  EXPECT_TRUE(health.is_down(member, now));
  EXPECT_FALSE(health.is_down(first, now)) << "the book was begun anew";
}

}  // namespace
}  // namespace postern::session
