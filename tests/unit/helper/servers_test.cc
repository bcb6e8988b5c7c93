// SPDX-License-Identifier: GPL-3.0-or-later
// What sources share that speak with servers: connections between questions, the order of servers, waiting.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "helper/idle_pool.h"
#include "helper/socket_wait.h"
#include "helper/sources/server_order.h"

namespace postern::helper {
namespace {

using std::chrono::steady_clock;

TEST(IdlePool, TheOneUsedLastComesFirst) {
  IdlePool<std::unique_ptr<int>> pool;
  EXPECT_EQ(pool.take(), nullptr);
  for (const int number : {1, 2, 3})
    pool.give_back(std::make_unique<int>(number));
  EXPECT_EQ(*pool.take(), 3);
  EXPECT_EQ(*pool.take([](const auto& one) { return *one != 2; }), 1);
  EXPECT_EQ(pool.take(), nullptr) << "what does not fit is gone";
  pool.give_back(std::make_unique<int>(4));
  pool.clear();
  EXPECT_EQ(pool.take(), nullptr);
}

TEST(IdlePool, WhatIsOldIsNotUsed) {
  IdlePool<std::unique_ptr<int>> ends_at_once(Duration(0));
  ends_at_once.give_back(std::make_unique<int>(1));
  EXPECT_EQ(ends_at_once.take(), nullptr);
  auto shared = std::make_shared<int>(1);
  IdlePool<std::shared_ptr<int>> pool(Duration(0));
  pool.give_back(shared);
  pool.end_old();
  EXPECT_EQ(shared.use_count(), 1);
  IdlePool<std::shared_ptr<int>> keeps(std::chrono::hours(1));
  keeps.give_back(shared);
  keeps.end_old();
  EXPECT_EQ(shared.use_count(), 2);
}

TEST(ServerOrder, WhoFailedIsTriedLast) {
  ServerOrder order(3, std::chrono::hours(1));
  EXPECT_EQ(order.now(), (std::vector<size_t>{0, 1, 2}));
  order.failed(0);
  EXPECT_EQ(order.now(), (std::vector<size_t>{1, 2, 0}));
  order.failed(1);
  EXPECT_EQ(order.now(), (std::vector<size_t>{2, 0, 1}));
  order.served(0);
  EXPECT_EQ(order.now(), (std::vector<size_t>{0, 2, 1}));
  ServerOrder forgiving(2, Duration(0));
  forgiving.failed(0);
  EXPECT_EQ(forgiving.now(), (std::vector<size_t>{0, 1}));
}

TEST(ServerOrder, EachHasItsShareOfTheTime) {
  const Instant before = steady_clock::now(), deadline = before + std::chrono::hours(2);
  const Instant until = ServerOrder::share(deadline, 2);
  EXPECT_GE(until, before + std::chrono::hours(1));
  EXPECT_LT(until, deadline);
  EXPECT_EQ(ServerOrder::share(deadline, 1), deadline);
}

TEST(SocketWait, UntilThereIsSomethingOrItIsTooLate) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  EXPECT_FALSE(wait_for(ends[0], POLLIN, steady_clock::now() + Duration(5)));
  EXPECT_FALSE(wait_for(ends[0], POLLOUT, steady_clock::now() - Duration(5)));
  EXPECT_FALSE(has_hung_up(ends[0]));
  short ready = 0;
  EXPECT_TRUE(wait_for(ends[0], POLLIN | POLLOUT, Instant::max(), &ready));
  EXPECT_EQ(ready, POLLOUT);
  close(ends[1]);
  EXPECT_TRUE(wait_for(ends[0], POLLIN, Instant::max()));
  EXPECT_TRUE(has_hung_up(ends[0]));
  close(ends[0]);
  EXPECT_TRUE(has_hung_up(-1));
}

}  // namespace
}  // namespace postern::helper
