// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/pipe_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

namespace postern::reactor {
namespace {

TEST(PipePool, LendsNoMoreThanItsLimit) {
  PipePool pool;
  std::vector<Pipe> lent;
  while (const std::optional<Pipe> pipe = pool.take())
    lent.push_back(*pipe);
  EXPECT_EQ(lent.size(), PipePool::lent_max);
  pool.give(lent.back(), true);
  lent.pop_back();
  const std::optional<Pipe> again = pool.take();
  ASSERT_TRUE(again);
  lent.push_back(*again);
  for (const Pipe& pipe : lent)
    pool.give(pipe, true);
}

// A pipe with bytes of one stream in it must never carry another's.
TEST(PipePool, NeverLendsAnothersBytes) {
  PipePool pool;
  const Pipe dirty = *pool.take();
  ASSERT_EQ(write(dirty.write_end, "x", 1), 1);
  pool.give(dirty, false);
  EXPECT_EQ(write(dirty.write_end, "x", 1), -1) << "the pipe was closed";
}

}  // namespace
}  // namespace postern::reactor
