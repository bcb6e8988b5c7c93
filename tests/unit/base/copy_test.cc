// SPDX-License-Identifier: GPL-3.0-or-later
// copy_bytes copies like memcpy at every size and distance, and knows the distances that memcpy is slow at.
#include "base/copy.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace postern {
namespace {

TEST(CopyBytes, EverySize) {
  std::string from(10000, '\0');
  for (size_t i = 0; i < from.size(); ++i)
    from[i] = static_cast<char>(i * 31 + i / 251);
  for (const size_t size : {0, 1, 7, 64, 2047, 2048, 2049, 4096, 4097, 6143, 9999}) {
    for (const size_t shift : {0, 1, 13, 63}) {
      std::string to(10100, '#');
      copy_bytes(to.data() + shift, from.data(), size);
      EXPECT_EQ(to, std::string(shift, '#') + from.substr(0, size) + std::string(10100 - shift - size, '#'));
    }
  }
}

TEST(CopiesSlowly, AFewBytesAheadOnAPage) {
  const auto room = std::make_unique<char[]>(32768);
  const char* from = room.get() + 100;
  const auto slow = [from](size_t ahead, size_t size, size_t slack = 0) {
    return copies_slowly(from + 8192 + ahead, from, size, slack);
  };
  EXPECT_TRUE(slow(1, 16384));
  EXPECT_TRUE(slow(63, 16384));
  EXPECT_FALSE(slow(64, 16384));
  EXPECT_FALSE(slow(2000, 16384));
  EXPECT_FALSE(slow(4095, 16384));
  EXPECT_FALSE(slow(13, 2048));  // memcpy has another way for those
  // With eight bytes that may come in front, a target just behind is in danger too.
  EXPECT_TRUE(slow(4090, 16384, 8));
  EXPECT_TRUE(slow(63, 16384, 8));
  EXPECT_FALSE(slow(4000, 16384, 8));
}

}  // namespace
}  // namespace postern
