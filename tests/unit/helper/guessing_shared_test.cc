// SPDX-License-Identifier: GPL-3.0-or-later
// Several machines count together in a real Redis server, and each alone without it. The server listens on a socket in a
// temporary folder; without the program redis-server these tests are skipped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "helper/guessing/guessing.h"

namespace postern::helper {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SharedTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern-guessing.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    start();
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder_);
  }

  std::string socket_path() const { return folder_ + "/redis.sock"; }

  void start() {
    server_ = fork();
    ASSERT_GE(server_, 0);
    if (server_ == 0) {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      const std::string path = socket_path();
      execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path.c_str(), "--requirepass", "hush",
             "--save", "", "--appendonly", "no", "--dir", folder_.c_str(), nullptr);
      _exit(127);
    }
    for (int i = 0; i < 3000 && !answers(); ++i) {
      int status = 0;
      if (waitpid(server_, &status, WNOHANG) == server_) {
        server_ = -1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127) GTEST_SKIP() << "there is no redis-server";
        FAIL() << "redis-server ended";
      }
      usleep(10000);
    }
  }
  void stop() {
    if (server_ <= 0) return;
    kill(server_, SIGCONT);
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = -1;
  }
  bool answers() const {
    const int probe = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
    const bool up = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    return up;
  }

  GuessingOptions options() {
    GuessingOptions options;
    options.block_after = 4;
    options.block_after_user = 8;
    options.block_after_net = 6;
    options.shared = "unix:" + socket_path();
    options.shared_password = Secret("hush");
    // Longer than it should be: a busy machine shall not change the outcome.
    options.shared_timeout = seconds(2);
    options.digest_key = Secret("key");
    return options;
  }
  Guessing make(GuessingOptions options) {
    return Guessing(
        std::move(options), [this] { return Instant(hours(1)) + Duration(now_ms_); },
        [this](const LogLine& line) {
          const std::lock_guard guard(lock_);
          lines_ += line.text() + "\n";
        });
  }
  static Attempt attempt(const Guessing& guessing, const std::string& user, const std::string& client,
                         const std::string& password) {
    Attempt attempt;
    attempt.user = user;
    attempt.client = Endpoint::parse(client, 1);
    attempt.protocol = "imap";
    attempt.digest = guessing.digest(user, password);
    return attempt;
  }
  static void wrong(Guessing& guessing, const std::string& user, const std::string& client, const std::string& password,
                    Outcome outcome = Outcome::Wrong) {
    const Attempt one = attempt(guessing, user, client, password);
    if (std::holds_alternative<Go>(guessing.before(one))) guessing.after(one, outcome);
  }
  static bool goes(Guessing& guessing, const std::string& user, const std::string& client) {
    return std::holds_alternative<Go>(guessing.before(attempt(guessing, user, client, "right")));
  }
  // The number that a command answers with; -1: none.
  int redis(const std::string& command) const {
    FILE* pipe = popen(("redis-cli --no-auth-warning -a hush -s " + socket_path() + " " + command).c_str(), "r");
    char text[32] = "-1";
    if (pipe == nullptr || fgets(text, sizeof text, pipe) == nullptr) text[0] = '-';
    if (pipe != nullptr) pclose(pipe);
    return atoi(text);
  }
  size_t lines_with(const std::string& text) const {
    size_t count = 0;
    for (size_t at = lines_.find(text); at != lines_.npos; at = lines_.find(text, at + 1))
      ++count;
    return count;
  }

  std::string folder_;
  pid_t server_ = -1;
  std::atomic<int64_t> now_ms_ = 0;
  std::mutex lock_;
  std::string lines_;
};

TEST_F(SharedTest, TwoMachinesCountTogether) {
  Guessing one = make(options()), two = make(options());
  for (int i = 0; i < 100; ++i)
    wrong(i % 2 == 0 ? one : two, "joe", "192.0.2.1", "the same old password");
  EXPECT_TRUE(goes(one, "joe", "192.0.2.1")) << "one wrong saved password";
  for (int i = 0; i < 3; ++i)
    wrong(i % 2 == 0 ? one : two, "joe", "192.0.2.1", std::to_string(i));
  EXPECT_FALSE(goes(one, "joe", "192.0.2.1"));
  EXPECT_FALSE(goes(two, "joe", "192.0.2.1"));
  EXPECT_TRUE(goes(two, "ann", "192.0.2.1"));
  EXPECT_EQ(lines_with("block client=192.0.2.1 protocol=imap reason=user_at_network for=15m user=joe"), 1u);
  EXPECT_EQ(lines_with("shared "), 0u) << lines_;
  Guessing late = make(options());
  EXPECT_FALSE(goes(late, "joe", "192.0.2.1")) << "a start does not forget";
}

TEST_F(SharedTest, WhereTheUserIsAtHomeEveryMachineKnows) {
  Guessing one = make(options()), two = make(options());
  wrong(one, "joe", "198.51.100.7", "right", Outcome::Right);
  for (int i = 0; i < 8; ++i)
    wrong(i % 2 == 0 ? one : two, "joe", "192.0.2." + std::to_string(i), std::to_string(i));
  EXPECT_FALSE(goes(one, "joe", "203.0.113.1"));
  EXPECT_TRUE(goes(two, "joe", "198.51.100.7"));
  for (int i = 0; i < 3; ++i)
    wrong(two, "joe", "198.51.100.7", "mistake " + std::to_string(i));
  wrong(one, "joe", "198.51.100.7", "right", Outcome::Right);
  for (int i = 0; i < 3; ++i)
    wrong(two, "joe", "198.51.100.7", "another mistake " + std::to_string(i));
  EXPECT_TRUE(goes(one, "joe", "198.51.100.7")) << "the right password forgets them";
}

TEST_F(SharedTest, AlikeToTheLocalCountsInEveryStep) {
  GuessingOptions alone = options();
  alone.shared.clear();
  Guessing local = make(std::move(alone)), shared = make(options());
  uint32_t seed = 7;
  for (int i = 0; i < 600; ++i) {
    seed = seed * 1664525 + 1013904223;
    const std::string user = "u" + std::to_string(seed >> 8 & 3), client = "192.0.2." + std::to_string(seed >> 12 & 3);
    const std::string password = std::to_string(seed >> 16 & 15);
    const Outcome outcome = (seed >> 24 & 15) == 0 ? Outcome::Right : Outcome::Wrong;
    const Attempt a = attempt(local, user, client, password), b = attempt(shared, user, client, password);
    const Judgement left = local.before(a), right = shared.before(b);
    ASSERT_EQ(left.index(), right.index()) << i;
    const Go* go = std::get_if<Go>(&left);
    if (go == nullptr) continue;
    ASSERT_EQ(go->delay, std::get<Go>(right).delay) << i;
    local.after(a, outcome);
    shared.after(b, outcome);
  }
}

TEST_F(SharedTest, WithoutTheServerEachCountsAloneAndItComesBack) {
  Guessing one = make(options()), two = make(options());
  wrong(one, "joe", "192.0.2.1", "a");
  stop();
  for (int i = 0; i < 3; ++i)
    wrong(one, "joe", "192.0.2.1", std::to_string(i));
  EXPECT_FALSE(goes(one, "joe", "192.0.2.1")) << "what it has counted before counts too";
  EXPECT_TRUE(goes(two, "joe", "192.0.2.1"));
  EXPECT_EQ(lines_with("shared store="), 2u) << "each says so once: " << lines_;
  EXPECT_EQ(lines_with("counted by this machine alone"), 2u);
  for (int i = 0; i < 30; ++i) {
    now_ms_ += 1100;
    goes(two, "joe", "192.0.2.1");
  }
  EXPECT_EQ(lines_with("shared store="), 2u) << "and not all the time";
  start();
  now_ms_ += 1100;
  for (int i = 0; i < 2; ++i) {
    wrong(one, "ann", "192.0.2.1", "x" + std::to_string(i));
    wrong(two, "ann", "192.0.2.1", "y" + std::to_string(i));
  }
  EXPECT_FALSE(goes(one, "ann", "192.0.2.1"));
  EXPECT_FALSE(goes(two, "ann", "192.0.2.1"));
  EXPECT_EQ(lines_with("Back again."), 2u) << lines_;
}

TEST_F(SharedTest, AServerThatWasStartedAnewIsNotEvenMissed) {
  Guessing one = make(options());
  wrong(one, "joe", "192.0.2.1", "a");
  stop();
  start();
  wrong(one, "joe", "192.0.2.1", "b");
  EXPECT_EQ(lines_with("shared "), 0u) << lines_;
}

TEST_F(SharedTest, AServerThatHangsCostsOneDeadlineAndThenNothing) {
  GuessingOptions quick = options();
  quick.shared_timeout = Duration(30);
  Guessing one = make(std::move(quick));
  ASSERT_EQ(kill(server_, SIGSTOP), 0);
  for (int i = 0; i < 4; ++i)
    wrong(one, "joe", "192.0.2.1", std::to_string(i));
  EXPECT_FALSE(goes(one, "joe", "192.0.2.1"));
  EXPECT_EQ(lines_with("did not answer in time"), 1u) << lines_;
}

TEST_F(SharedTest, AWrongPasswordOfTheStoreIsSaidWithoutIt) {
  GuessingOptions wrong_one = options();
  wrong_one.shared_password = Secret("tops3cret");
  Guessing one = make(std::move(wrong_one));
  EXPECT_TRUE(goes(one, "joe", "192.0.2.1"));
  EXPECT_EQ(lines_with("shared_password_file"), 1u) << lines_;
  EXPECT_EQ(lines_with("tops3cret"), 0u);
}

TEST_F(SharedTest, EverythingInTheStoreEndsByItselfAndNamesNoPassword) {
  GuessingOptions brief = options();
  brief.window = seconds(2);
  brief.block_for = seconds(2);
  brief.known_for = seconds(2);
  Guessing one = make(std::move(brief));
  for (int i = 0; i < 8; ++i)
    wrong(one, "joe", "192.0.2." + std::to_string(i % 3), "s3cret" + std::to_string(i));
  wrong(one, "ann", "192.0.2.1", "right", Outcome::Right);
  EXPECT_GT(redis("dbsize"), 3);
  EXPECT_EQ(redis("eval \"local n=0 for _,k in ipairs(redis.call('keys','*')) do if redis.call('pttl',k)<0 or "
                  "string.find(k,'s3cret') then n=n+1 end end return n\" 0"),
            0)
      << "keys without an end, or with a password";
}

TEST_F(SharedTest, ManyThreadsAtOnce) {
  GuessingOptions wide = options();
  wide.block_after = wide.block_after_user = wide.block_after_net = 200;
  Guessing one = make(std::move(wide));
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&one, t] {
      for (int i = 0; i < 20; ++i)
        wrong(one, "joe", "192.0.2.1", std::to_string(t * 20 + i));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(goes(one, "joe", "192.0.2.1"));
  EXPECT_EQ(lines_with("guess client="), 160u);
  for (int i = 0; i < 45; ++i)
    wrong(one, "joe", "192.0.2.1", "more " + std::to_string(i));
  EXPECT_FALSE(goes(one, "joe", "192.0.2.1"));
}

}  // namespace
}  // namespace postern::helper
