// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/secret.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>
#include <utility>

namespace postern {
namespace {

TEST(Secret, PrintsRedacted) {
  std::ostringstream out;
  out << Secret("hunter2");
  EXPECT_EQ(out.str(), "[redacted]");
}

// Taking a string leaves no byte of it behind, not even beyond its new, shorter size.
TEST(Secret, TakeWipesTheSource) {
  std::string source = "a password that is longer than the small-string buffer";
  const char* bytes = source.data();
  const size_t capacity = source.capacity();
  const Secret secret = Secret::take(source);
  EXPECT_EQ(secret.reveal(), "a password that is longer than the small-string buffer");
  EXPECT_TRUE(source.empty());
  EXPECT_EQ(source.data(), bytes);
  for (size_t i = 0; i < capacity; ++i)
    EXPECT_EQ(bytes[i], '\0') << "byte " << i;
}

TEST(Secret, MoveEmptiesTheSource) {
  Secret first("one");
  Secret second(std::move(first));
  EXPECT_EQ(second.reveal(), "one");
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  Secret third("three");
  third = std::move(second);
  EXPECT_EQ(third.reveal(), "one");
}

TEST(Secret, ComparesContents) {
  EXPECT_EQ(Secret("same"), Secret("same"));
  EXPECT_FALSE(Secret("same") == Secret("Same"));
  EXPECT_FALSE(Secret("same") == Secret("samesame"));
  EXPECT_EQ(Secret(), Secret(""));
  EXPECT_EQ(Secret(std::string_view("a\0b", 3)).size(), 3u);
}

TEST(Wipe, ClearsBytes) {
  char bytes[8] = "secret!";
  wipe(bytes, sizeof bytes);
  const char zero[8] = {};
  EXPECT_EQ(std::memcmp(bytes, zero, sizeof bytes), 0);
}

}  // namespace
}  // namespace postern
