// SPDX-License-Identifier: GPL-3.0-or-later
// BlockPool: blocks fit, come back for the next borrower, and take no secret with them.
#include "base/block_pool.h"

#include <gtest/gtest.h>
#include <string.h>

#include <set>
#include <string>
#include <vector>

namespace postern {
namespace {

std::string bytes_of(const Block& block, size_t size) {
  return std::string(block.data(), size);
}

TEST(BlockPool, BlocksAreAsLargeAsAsked) {
  BlockPool pool;
  for (const size_t size :
       {size_t{0}, size_t{1}, BlockPool::small_size, BlockPool::small_size + 1, BlockPool::medium_size,
        BlockPool::medium_size + 1, BlockPool::large_size, BlockPool::large_size + 1, size_t{1000000}}) {
    Block* block = pool.take(size);
    EXPECT_GE(block->capacity, size);
    EXPECT_EQ(block->size, 0u);
    memset(block->data(), 'x', block->capacity);  // all of it is ours
    EXPECT_EQ(pool.lent(), sizeof(Block) + block->capacity);
    pool.give(block, false);
    EXPECT_EQ(pool.lent(), 0u);
  }
}

TEST(BlockPool, ShelvesHaveThreeSizes) {
  BlockPool pool;
  const auto capacity = [&pool](size_t size) {
    Block* block = pool.take(size);
    const size_t result = block->capacity;
    pool.give(block, false);
    return result;
  };
  EXPECT_EQ(capacity(1), BlockPool::small_size);
  EXPECT_EQ(capacity(BlockPool::small_size + 1), BlockPool::medium_size);
  EXPECT_EQ(capacity(16406), BlockPool::medium_size);  // a full TLS record
  EXPECT_EQ(capacity(BlockPool::medium_size + 1), BlockPool::large_size);
  EXPECT_EQ(capacity(4 * 16413 + 100), BlockPool::large_size);  // four of them
  EXPECT_EQ(capacity(BlockPool::large_size + 1), BlockPool::large_size + 1);
}

TEST(BlockPool, TheLastGivenIsTheNextTaken) {
  BlockPool pool;
  Block* one = pool.take(100);
  Block* two = pool.take(100);
  EXPECT_NE(one, two);
  one->size = 77;
  pool.give(one, false);
  Block* again = pool.take(2000);
  EXPECT_EQ(again, one);
  EXPECT_EQ(again->size, 0u);
  pool.give(again, false);
  pool.give(two, false);
  EXPECT_EQ(pool.take(1), two);
  pool.give(two, false);
}

TEST(BlockPool, LentCountsAllThatIsOut) {
  BlockPool pool;
  std::vector<Block*> blocks;
  size_t sum = 0;
  for (size_t size = 1; size < 200000; size *= 3) {
    blocks.push_back(pool.take(size));
    sum += sizeof(Block) + blocks.back()->capacity;
    EXPECT_EQ(pool.lent(), sum);
  }
  for (Block* block : blocks)
    pool.give(block, false);
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(BlockPool, NoBlockIsLentTwice) {
  BlockPool pool;
  std::set<Block*> out;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 600; ++i)
      EXPECT_TRUE(out.insert(pool.take(static_cast<size_t>(i * 50))).second);
    for (Block* block : out)
      pool.give(block, round == 1);
    out.clear();
  }
}

TEST(BlockPool, SecretsAreWiped) {
  BlockPool pool;
  Block* block = pool.take(10);
  memcpy(block->data(), "secret", 6);
  block->size = 6;
  pool.give(block, true);
  Block* again = pool.take(10);
  ASSERT_EQ(again, block);
  EXPECT_EQ(bytes_of(*again, 6), std::string(6, '\0'));
  pool.give(again, false);
}

TEST(BlockPool, NothingIsNothing) {
  BlockPool pool;
  pool.give(nullptr, true);
  EXPECT_EQ(pool.lent(), 0u);
  pool.trim();
  pool.trim();
}

TEST(BlockPoolDeathTest, DyingWithBlocksOutIsOurFault) {
  EXPECT_DEATH(
      {
        BlockPool pool;
        pool.take(1);
      },
      "lent_ == 0");
}

}  // namespace
}  // namespace postern
