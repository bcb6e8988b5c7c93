// SPDX-License-Identifier: GPL-3.0-or-later
// Outbox: bytes leave in order, those in flight stay where they are, and an empty one holds nothing.
#include "base/outbox.h"

#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <random>
#include <string>

namespace postern {
namespace {

class OutboxTest : public ::testing::Test {
 protected:
  ~OutboxTest() override { box_.drop(pool_, false); }

  std::string launch() {
    const std::span<const char> bytes = box_.launch();
    return std::string(bytes.data(), bytes.size());
  }

  BlockPool pool_;
  Outbox box_;
};

TEST_F(OutboxTest, BeginsWithNothing) {
  EXPECT_TRUE(box_.idle());
  EXPECT_FALSE(box_.flying());
  EXPECT_EQ(box_.waiting_size(), 0u);
  box_.append(pool_, "");
  box_.settle(pool_);
  box_.drop(pool_, true);
  EXPECT_EQ(pool_.lent(), 0u);
}

TEST_F(OutboxTest, AppendedBytesLeaveInOrder) {
  box_.append(pool_, "* OK ");
  box_.append(pool_, "ready\r\n");
  EXPECT_EQ(box_.waiting_size(), 12u);
  EXPECT_EQ(launch(), "* OK ready\r\n");
  EXPECT_TRUE(box_.flying());
  EXPECT_EQ(box_.waiting_size(), 0u);
  box_.landed(pool_, false);
  EXPECT_TRUE(box_.idle());
  EXPECT_EQ(pool_.lent(), 0u);
}

TEST_F(OutboxTest, WhatFliesDoesNotMove) {
  box_.append(pool_, "first");
  const std::span<const char> flying = box_.launch();
  for (int i = 0; i < 1000; ++i)
    box_.append(pool_, std::string(100, 'x'));
  EXPECT_EQ(std::string(flying.data(), flying.size()), "first");
  EXPECT_EQ(box_.waiting_size(), 100000u);
  box_.landed(pool_, false);
  EXPECT_EQ(launch(), std::string(100000, 'x'));
}

TEST_F(OutboxTest, ReserveAndCommit) {
  std::span<char> room = box_.reserve(pool_, 10);
  ASSERT_GE(room.size(), 10u);
  memcpy(room.data(), "0123456789", 10);
  box_.commit(4);
  EXPECT_EQ(box_.waiting_size(), 4u);
  room = box_.reserve(pool_, 3);
  memcpy(room.data(), "abc", 3);
  box_.commit(3);
  box_.commit(0);
  EXPECT_EQ(launch(), "0123abc");
}

TEST_F(OutboxTest, AReservationLeftEmptyIsGivenBack) {
  box_.reserve(pool_, 20000);
  EXPECT_FALSE(box_.idle());
  box_.settle(pool_);
  EXPECT_TRUE(box_.idle());
  EXPECT_EQ(pool_.lent(), 0u);
  box_.append(pool_, "x");
  box_.reserve(pool_, 20000);
  box_.settle(pool_);
  EXPECT_EQ(launch(), "x");
}

// Random sizes against a plain string, with launches and landings between.
TEST_F(OutboxTest, SameAsAString) {
  std::mt19937 random(20240401);
  std::string expected;
  std::string sent;
  for (int i = 0; i < 20000; ++i) {
    const unsigned dice = random() % 10;
    if (dice < 6) {
      const size_t size = dice == 0 ? random() % 30000 : random() % 200;
      std::string text(size, '\0');
      std::generate(text.begin(), text.end(), [&random] { return static_cast<char>(random()); });
      if (dice % 2 == 0) {
        box_.append(pool_, text);
      } else {
        memcpy(box_.reserve(pool_, size + random() % 100).data(), text.data(), size);
        box_.commit(size);
        box_.settle(pool_);
      }
      expected += text;
    } else if (dice < 8 && !box_.flying() && box_.waiting_size() != 0) {
      sent += launch();
    } else if (box_.flying()) {
      box_.landed(pool_, dice == 9);
    }
    ASSERT_EQ(sent.size() + box_.waiting_size(), expected.size());
  }
  if (box_.flying()) box_.landed(pool_, false);
  if (box_.waiting_size() != 0) sent += launch();
  EXPECT_EQ(sent, expected);
}

// A long run of small appends costs a few moves, not one each.
TEST_F(OutboxTest, GrowsByDoubling) {
  const char* place = nullptr;
  int moves = 0;
  for (int i = 0; i < 100000; ++i) {
    box_.append(pool_, "0123456789");
    const char* now = box_.reserve(pool_, 0).data() - box_.waiting_size();
    moves += now != place;
    place = now;
  }
  EXPECT_LT(moves, 12);
  EXPECT_EQ(box_.waiting_size(), 1000000u);
}

TEST_F(OutboxTest, SecretsAreWiped) {
  box_.append(pool_, "a1 LOGIN joe secret\r\n");
  const char* place = box_.launch().data();
  box_.landed(pool_, true);
  Block* block = pool_.take(100);
  ASSERT_EQ(block->data(), place);
  EXPECT_EQ(std::string(place, 21), std::string(21, '\0'));
  pool_.give(block, false);
}

// Growing leaves no copy behind.
TEST_F(OutboxTest, MovedSecretsAreWiped) {
  box_.append(pool_, "a1 LOGIN joe secret\r\n");
  const char* place = box_.reserve(pool_, 0).data() - 21;
  box_.append(pool_, std::string(5000, 'x'));
  Block* block = pool_.take(100);
  ASSERT_EQ(block->data(), place);
  EXPECT_EQ(std::string(place, 21), std::string(21, '\0'));
  pool_.give(block, false);
}

TEST_F(OutboxTest, DropWaitingLeavesWhatFlies) {
  box_.append(pool_, "flying");
  const std::span<const char> flying = box_.launch();
  box_.append(pool_, "waiting");
  EXPECT_EQ(box_.flying_size(), 6u);
  box_.drop_waiting(pool_, false);
  EXPECT_EQ(box_.waiting_size(), 0u);
  EXPECT_EQ(std::string(flying.data(), flying.size()), "flying");
  box_.landed(pool_, false);
  EXPECT_EQ(box_.flying_size(), 0u);
  EXPECT_EQ(pool_.lent(), 0u);
}

TEST_F(OutboxTest, WhatWasNotSentWaitsAgainInFront) {
  for (const bool more : {false, true}) {
    for (size_t sent = 0; sent <= 6; ++sent) {
      box_.append(pool_, "flying");
      box_.launch();
      if (more) box_.append(pool_, "waiting");
      box_.came_back(pool_, sent, false);
      EXPECT_FALSE(box_.flying());
      const std::string rest = std::string("flying").substr(sent) + (more ? "waiting" : "");
      EXPECT_EQ(box_.waiting_text(), rest);
      box_.drop(pool_, false);
      EXPECT_EQ(pool_.lent(), 0u);
    }
  }
}

TEST_F(OutboxTest, DropForgetsBoth) {
  box_.append(pool_, "flying");
  box_.launch();
  box_.append(pool_, "waiting");
  box_.drop(pool_, true);
  EXPECT_TRUE(box_.idle());
  EXPECT_EQ(pool_.lent(), 0u);
}

TEST(OutboxDeathTest, MisuseIsOurFault) {
  EXPECT_DEATH(
      {
        BlockPool pool;
        Outbox box;
        box.append(pool, "x");
        box.launch();
        box.launch();
      },
      "flying_ == nullptr");
  EXPECT_DEATH(
      {
        BlockPool pool;
        Outbox box;
        box.reserve(pool, 1);
        box.commit(1000000);
      },
      "commit|waiting_");
}

}  // namespace
}  // namespace postern
