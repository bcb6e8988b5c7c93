// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/connection.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::reactor {
namespace {

// A late answer for an earlier owner of a place finds nobody.
TEST(Slab, FindsByIndexAndGeneration) {
  Slab slab(1000);
  slab.create(5, 1);
  EXPECT_NE(slab.find(5, 1), nullptr);
  EXPECT_EQ(slab.find(5, 2), nullptr);
  EXPECT_EQ(slab.find(6, 1), nullptr);
  EXPECT_EQ(slab.find(999'999, 1), nullptr);
  slab.destroy(*slab.find(5, 1));
  EXPECT_EQ(slab.find(5, 1), nullptr);
  slab.create(5, 2);
  EXPECT_EQ(slab.find(5, 1), nullptr);
  EXPECT_EQ(slab.find(5, 2)->index, 5u);
  EXPECT_EQ(slab.live(), 1u);
  slab.destroy(*slab.find(5, 2));
  EXPECT_EQ(slab.live(), 0u);
}

TEST(Slab, VisitsEachOnce) {
  Slab slab(1000);
  for (uint32_t i = 0; i < 1000; i += 3)
    slab.create(i, i + 1);
  std::vector<uint32_t> seen;
  slab.for_each([&](Connection& connection) { seen.push_back(connection.index); });
  ASSERT_EQ(seen.size(), 334u);
  for (size_t i = 0; i < seen.size(); ++i)
    EXPECT_EQ(seen[i], i * 3);
}

// The budget of an idle session: what the gate keeps of it beside its TLS state.
TEST(Connection, KeepsToItsSize) {
  EXPECT_LE(sizeof(session::Session), 400u);
  EXPECT_LE(sizeof(Connection), 480u);
}

}  // namespace
}  // namespace postern::reactor
