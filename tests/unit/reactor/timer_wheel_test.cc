// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/timer_wheel.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant start = Instant(std::chrono::hours(100));

std::vector<uint32_t> expired_at(TimerWheel& wheel, Instant now) {
  std::vector<TimerWheel::Entry> entries;
  wheel.advance(now, entries);
  std::vector<uint32_t> indices;
  for (const TimerWheel::Entry entry : entries)
    indices.push_back(entry.index);
  return indices;
}

TEST(TimerWheel, EmptyHasNothingToDo) {
  TimerWheel wheel(start);
  EXPECT_EQ(wheel.next(), instant_never);
  EXPECT_TRUE(expired_at(wheel, start + minutes(100)).empty());
  wheel.add({1, 1}, instant_never);
  EXPECT_EQ(wheel.next(), instant_never);
}

// Never before its time, and no later than a tick after it (a second where it was more than eight away).
TEST(TimerWheel, FiresInTime) {
  for (const Duration delay :
       {milliseconds(1), milliseconds(64), milliseconds(65), milliseconds(5000), milliseconds(16383),
        milliseconds(16384), milliseconds(30000), milliseconds(minutes(31)), milliseconds(minutes(60))}) {
    TimerWheel wheel(start);
    wheel.add({7, 1}, start + delay);
    const Instant next = wheel.next();
    const Duration slack = delay > seconds(8) ? Duration(1024 + 64) : TimerWheel::tick;
    EXPECT_TRUE(expired_at(wheel, start + delay - milliseconds(1)).empty()) << delay.count();
    EXPECT_EQ(expired_at(wheel, start + delay + slack), std::vector<uint32_t>{7}) << delay.count();
    EXPECT_LE(next, start + delay + slack);
    EXPECT_EQ(wheel.next(), instant_never);
  }
}

// Beyond its horizon of 70 minutes the wheel asks too early, which its user answers by adding the entry again.
TEST(TimerWheel, AsksEarlyBeyondItsHorizon) {
  TimerWheel wheel(start);
  wheel.add({7, 1}, start + std::chrono::hours(24));
  EXPECT_TRUE(expired_at(wheel, start + minutes(60)).empty());
  EXPECT_EQ(expired_at(wheel, start + minutes(71)), std::vector<uint32_t>{7});
}

TEST(TimerWheel, PastDeadlinesFireAtTheNextTick) {
  TimerWheel wheel(start);
  expired_at(wheel, start + seconds(10));
  wheel.add({7, 1}, start);
  EXPECT_TRUE(expired_at(wheel, start + seconds(10)).empty());
  EXPECT_EQ(expired_at(wheel, start + seconds(10) + TimerWheel::tick), std::vector<uint32_t>{7});
}

// Thousands of far deadlines share one wake-up a second.
TEST(TimerWheel, FarDeadlinesShareTheirWakeUps) {
  TimerWheel wheel(start);
  for (uint32_t i = 0; i < 1000; ++i)
    wheel.add({i, 1}, start + seconds(10) + milliseconds(i));
  size_t turns = 0;
  size_t fired = 0;
  while (wheel.next() != instant_never) {
    fired += expired_at(wheel, wheel.next()).size();
    turns++;
  }
  EXPECT_EQ(fired, 1000u);
  EXPECT_LE(turns, 2u);
}

// Against a plain list, with steps of every size: each entry fires exactly once, in its time, and next() never sleeps
// past one.
TEST(TimerWheel, AgreesWithAList) {
  std::mt19937 random(20260131);
  TimerWheel wheel(start);
  std::vector<Instant> due;
  std::vector<bool> fired;
  Instant now = start;
  for (int step = 0; step < 3000; ++step) {
    for (unsigned i = random() % 4; i != 0; --i) {
      const Duration delay(random() % (random() % 2 == 0 ? 2000 : 3'600'000));
      wheel.add({static_cast<uint32_t>(due.size()), 1}, now + delay);
      due.push_back(now + delay);
      fired.push_back(false);
    }
    const Duration stride(random() % (random() % 8 == 0 ? 400'000 : 300));
    now += stride;
    for (const uint32_t index : expired_at(wheel, now)) {
      EXPECT_FALSE(fired[index]);
      EXPECT_LE(due[index], now);
      fired[index] = true;
    }
    for (size_t i = 0; i < due.size(); ++i) {
      if (fired[i]) continue;
      EXPECT_GT(due[i] + milliseconds(1024 + 64), now) << "entry " << i << " is late";
      EXPECT_LE(wheel.next(), std::max(due[i], now) + milliseconds(1024 + 64));
    }
  }
}

}  // namespace
}  // namespace postern::reactor
