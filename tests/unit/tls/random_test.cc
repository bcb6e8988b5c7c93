// SPDX-License-Identifier: GPL-3.0-or-later
// Random bytes: never the same twice, in no thread and in no child process.
#include "tls/random.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace postern::tls {
namespace {

TEST(Random, NumbersAreDistinct) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 100000; ++i)
    seen.insert(random_number());
  EXPECT_EQ(seen.size(), 100000u);
}

// Sizes around the pool's, filled to the last byte and not beyond.
TEST(Random, EverySizeIsFilled) {
  for (const size_t size : {1, 7, 8, 16, 32, 1000, 1023, 1024, 1025, 5000}) {
    std::vector<std::string> rounds;
    for (int i = 0; i < 16; ++i) {
      std::string bytes(size + 8, '\0');
      random_bytes(bytes.data(), size);
      EXPECT_EQ(bytes.substr(size), std::string(8, '\0'));
      rounds.push_back(bytes);
    }
    // Each position changes in sixteen rounds (but for once in 2^120).
    for (size_t at = 0; at < size; ++at) {
      const bool varies = std::any_of(rounds.begin(), rounds.end(),
                                      [&](const std::string& bytes) { return bytes[at] != rounds[0][at]; });
      ASSERT_TRUE(varies) << size << " " << at;
    }
  }
}

// Bits are set about half of the time: a stuck or zeroed pool would show.
TEST(Random, BitsAreBalanced) {
  std::string bytes(1 << 16, '\0');
  for (size_t at = 0; at < bytes.size(); at += 64)
    random_bytes(bytes.data() + at, 64);
  size_t ones = 0;
  for (const char byte : bytes)
    ones += static_cast<size_t>(__builtin_popcount(static_cast<unsigned char>(byte)));
  const size_t half = bytes.size() * 4;
  EXPECT_LT(ones > half ? ones - half : half - ones, half / 50);
}

TEST(Random, ThreadsDoNotShare) {
  std::array<std::vector<uint64_t>, 4> drawn;
  std::vector<std::thread> threads;
  for (auto& numbers : drawn) {
    threads.emplace_back([&numbers] {
      for (int i = 0; i < 1000; ++i)
        numbers.push_back(random_number());
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  std::set<uint64_t> seen;
  for (const auto& numbers : drawn)
    seen.insert(numbers.begin(), numbers.end());
  EXPECT_EQ(seen.size(), 4000u);
}

// A child begins with a copy of its parent's pool, and must not use it.
TEST(Random, AChildProcessDrawsOtherNumbers) {
  random_number();  // the pool is filled
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::array<uint64_t, 64> numbers;
    for (uint64_t& number : numbers)
      number = random_number();
    const bool written = write(ends[1], numbers.data(), sizeof numbers) == sizeof numbers;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::set<uint64_t> seen;
  for (int i = 0; i < 64; ++i)
    seen.insert(random_number());
  std::array<uint64_t, 64> numbers{};
  ASSERT_EQ(read(ends[0], numbers.data(), sizeof numbers), static_cast<ssize_t>(sizeof numbers));
  close(ends[0]);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  seen.insert(numbers.begin(), numbers.end());
  EXPECT_EQ(seen.size(), 128u);
}

}  // namespace
}  // namespace postern::tls
