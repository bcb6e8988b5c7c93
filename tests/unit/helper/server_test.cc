// SPDX-License-Identifier: GPL-3.0-or-later
// The SDK's serving loop, on a real socket in a folder of its own, with the test as the gate.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "postern/helper.h"

namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/postern-sdk-XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    path_ = name;
  }
  ~Folder() {
    unlink(socket().c_str());
    rmdir(path_.c_str());
  }
  std::string socket() const { return path_ + "/auth.sock"; }

 private:
  std::string path_;
};

// One connection of a gate.
class Gate {
 public:
  explicit Gate(const std::string& path) : descriptor_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Gate() { close(descriptor_); }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void end_sending() { shutdown(descriptor_, SHUT_WR); }
  // The next line without its LF; "(end)" when the helper closed.
  std::string line() {
    while (true) {
      const size_t end = input_.find('\n');
      if (end != input_.npos) {
        std::string line = input_.substr(0, end);
        input_.erase(0, end + 1);
        return line;
      }
      char bytes[4096];
      const ssize_t size = recv(descriptor_, bytes, sizeof bytes, 0);
      if (size <= 0) return "(end)";
      input_.append(bytes, static_cast<size_t>(size));
    }
  }
  bool is_quiet() {
    pollfd wait{descriptor_, POLLIN, 0};
    return input_.empty() && poll(&wait, 1, 50) == 0;
  }

 private:
  int descriptor_;
  std::string input_;
};

// A helper whose answers wait until the test lets them go, unless `at_once`.
class Helper {
 public:
  explicit Helper(bool at_once, postern_helper_options options = {}) : at_once_(at_once) {
    listener_ = postern_helper_listen(folder_.socket().c_str(), 0600, static_cast<gid_t>(-1));
    EXPECT_GE(listener_, 0);
    options.listener = listener_;
    options.name = "test";
    options.context = this;
    options.verify = [](void* self, postern_helper*, postern_question* question) {
      static_cast<Helper*>(self)->on_question(question);
    };
    helper_ = postern_helper_new(&options);
    EXPECT_NE(helper_, nullptr);
    thread_ = std::thread([this] { EXPECT_EQ(postern_helper_serve(helper_), POSTERN_FINE); });
  }
  ~Helper() {
    stop();
    answer_all(false);
    postern_helper_free(helper_);
    postern_helper_unlisten(listener_, path().c_str());
  }

  std::string path() const { return folder_.socket(); }
  postern_helper* get() { return helper_; }
  void stop() {
    if (!thread_.joinable()) return;
    postern_helper_stop(helper_);
    thread_.join();
  }
  size_t waiting() {
    const std::lock_guard guard(lock_);
    return questions_.size();
  }
  void wait_for(size_t count) {
    while (waiting() < count)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  size_t answer_all(bool backwards) {
    std::vector<postern_question*> questions;
    {
      const std::lock_guard guard(lock_);
      questions.swap(questions_);
    }
    if (backwards) std::reverse(questions.begin(), questions.end());
    for (postern_question* question : questions)
      answer(question);
    return questions.size();
  }

 private:
  void on_question(postern_question* question) {
    if (at_once_) return answer(question);
    const std::lock_guard guard(lock_);
    questions_.push_back(question);
  }
  void answer(postern_question* question) {
    const postern_peer* peer = postern_question_peer(question);
    ASSERT_NE(peer, nullptr);
    EXPECT_EQ(peer->pid, getpid());
    EXPECT_EQ(peer->uid, geteuid());
    postern_answer answer{};
    answer.result = POSTERN_REJECT;
    EXPECT_EQ(postern_helper_answer(helper_, question, &answer), POSTERN_FINE);
  }

  Folder folder_;
  bool at_once_;
  int listener_ = -1;
  postern_helper* helper_ = nullptr;
  std::mutex lock_;
  std::vector<postern_question*> questions_;
  std::thread thread_;
};

std::string question(int id) {
  return "op=verify&id=" + std::to_string(id) + "&user=joe&password=x\n";
}
std::string refusal(int id) {
  return "id=" + std::to_string(id) + "&result=reject&reason=credentials";
}

TEST(Server, GreetsAndAnswers) {
  Helper helper(true);
  Gate gate(helper.path());
  gate.send("op=hello&version=1&name=postern\n" + question(17));
  EXPECT_EQ(gate.line(), "op=hello&version=1&name=test");
  EXPECT_EQ(gate.line(), refusal(17));
}

TEST(Server, AnswersInAnyOrderAndFromAnyThread) {
  Helper helper(false);
  Gate gate(helper.path());
  std::string all;
  for (int id = 1; id <= 1000; ++id)
    all += question(id);
  gate.send(all);
  helper.wait_for(1000);
  std::thread other([&] { helper.answer_all(true); });
  for (int id = 1000; id >= 1; --id)
    EXPECT_EQ(gate.line(), refusal(id));
  other.join();
}

TEST(Server, CutAtEveryByte) {
  Helper helper(true);
  const std::string both = question(1) + question(2);
  for (size_t cut = 1; cut < both.size(); ++cut) {
    Gate gate(helper.path());
    gate.send(both.substr(0, cut));
    gate.send(both.substr(cut));
    EXPECT_EQ(gate.line(), refusal(1));
    EXPECT_EQ(gate.line(), refusal(2));
  }
}

TEST(Server, HostileLinesGetErrorsAndTheNextLineCounts) {
  Helper helper(true);
  Gate gate(helper.path());
  gate.send("op=launch&id=3\n\r\n\n%zz\nop=verify&user=joe\nuser=joe\n");
  gate.send(std::string_view("\xff\xfe\0\n", 4));
  gate.send(question(4));
  EXPECT_EQ(gate.line(), "id=3&result=error&text=unknown+op");
  EXPECT_EQ(gate.line(), "result=error&text=malformed+line");
  EXPECT_EQ(gate.line(), "result=error&text=a+question+needs+an+id");
  EXPECT_EQ(gate.line(), "result=error&text=unknown+op");
  EXPECT_EQ(gate.line(), "result=error&text=unknown+op");
  EXPECT_EQ(gate.line(), refusal(4));
}

TEST(Server, ALineWithoutEndEndsItsConnectionOnly) {
  Helper helper(true);
  Gate other(helper.path());
  Gate gate(helper.path());
  gate.send(question(1) + std::string(POSTERN_HELPER_LINE_MAX + 1, 'x'));
  EXPECT_EQ(gate.line(), refusal(1));
  EXPECT_EQ(gate.line(), "result=error&text=line+too+long");
  EXPECT_EQ(gate.line(), "(end)");
  other.send(question(2));
  EXPECT_EQ(other.line(), refusal(2));
}

// The way of `echo ... | socat`: all is sent, the sending side ends, and then the answers are read.
TEST(Server, AHalfClosedGateStillHears) {
  Helper helper(false);
  Gate gate(helper.path());
  gate.send(question(1) + "op=hello\nhalf a line");
  gate.end_sending();
  EXPECT_EQ(gate.line(), "op=hello&version=1&name=test");
  helper.wait_for(1);
  helper.answer_all(false);
  EXPECT_EQ(gate.line(), refusal(1));
  EXPECT_EQ(gate.line(), "(end)");
}

TEST(Server, AnswersForAGateThatLeftGoNowhere) {
  Helper helper(false);
  {
    Gate gate(helper.path());
    gate.send(question(1));
    helper.wait_for(1);
  }
  Gate next(helper.path());
  next.send(question(2));
  helper.wait_for(2);
  helper.answer_all(false);
  EXPECT_EQ(next.line(), refusal(2));
  EXPECT_TRUE(next.is_quiet());
}

TEST(Server, AtTheLimitTheConnectionIsNotRead) {
  Helper helper(false, {.in_flight_max = 3});
  Gate gate(helper.path());
  std::string all;
  for (int id = 1; id <= 10; ++id)
    all += question(id);
  gate.send(all);
  std::set<std::string> answers;
  while (answers.size() < 10) {
    helper.wait_for(1);
    EXPECT_LE(helper.waiting(), 3u);
    for (size_t due = helper.answer_all(false); due > 0; --due)
      answers.insert(gate.line());
  }
  EXPECT_TRUE(answers.contains(refusal(1)));
  EXPECT_TRUE(answers.contains(refusal(10)));
}

// A peer that asks for ever and never reads is not read for ever; all its answers come when it does read.
TEST(Server, APeerThatDoesNotReadIsNotReadEither) {
  Helper helper(true);
  Gate gate(helper.path());
  constexpr int count = 60000;
  std::thread writer([&] {
    std::string all;
    for (int i = 0; i < count; ++i)
      all += "op=hello&version=1&name=postern-that-does-not-read\n";
    gate.send(all);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  int lines = 0;
  while (lines < count && gate.line() == "op=hello&version=1&name=test")
    ++lines;
  EXPECT_EQ(lines, count);
  writer.join();
}

TEST(Server, InvalidatesOnEveryConnection) {
  Helper helper(true);
  Gate one(helper.path());
  Gate two(helper.path());
  one.send("op=hello\n");
  two.send("op=hello\n");
  EXPECT_EQ(one.line(), "op=hello&version=1&name=test");
  EXPECT_EQ(two.line(), "op=hello&version=1&name=test");
  EXPECT_EQ(postern_helper_invalidate(helper.get(), postern_text("joe@example.test")), POSTERN_FINE);
  EXPECT_EQ(one.line(), "op=invalidate&user=joe%40example.test");
  EXPECT_EQ(two.line(), "op=invalidate&user=joe%40example.test");
  EXPECT_EQ(postern_helper_invalidate(helper.get(), postern_text("")), POSTERN_MALFORMED);
}

TEST(Server, AnAnswerThatCannotBeSaidBecomesUnavailable) {
  Folder folder;
  const int listener = postern_helper_listen(folder.socket().c_str(), 0600, static_cast<gid_t>(-1));
  postern_helper_options options{};
  options.listener = listener;
  options.verify = [](void*, postern_helper* self, postern_question* asked) {
    postern_answer answer{};
    answer.result = POSTERN_OK;
    answer.master_user = postern_text("master");
    EXPECT_EQ(postern_helper_answer(self, asked, &answer), POSTERN_MALFORMED);
  };
  postern_helper* helper = postern_helper_new(&options);
  std::thread thread([&] { EXPECT_EQ(postern_helper_serve(helper), POSTERN_FINE); });
  {
    Gate gate(folder.socket());
    gate.send(question(1));
    EXPECT_EQ(gate.line(), "id=1&result=unavailable&text=the+helper%27s+answer+was+malformed");
  }
  postern_helper_stop(helper);
  thread.join();
  postern_helper_free(helper);
  postern_helper_unlisten(listener, folder.socket().c_str());
}

TEST(Server, StopSaysWhatIsDue) {
  Helper helper(false);
  Gate gate(helper.path());
  gate.send(question(1));
  helper.wait_for(1);
  postern_helper_stop(helper.get());
  helper.answer_all(false);
  helper.stop();
  EXPECT_EQ(gate.line(), refusal(1));
  EXPECT_EQ(gate.line(), "(end)");
}

TEST(Server, AdmitRefusesConnections) {
  Helper helper(true, {.admit = [](void*, const postern_peer* peer) { return peer->pid == getpid() ? 0 : 1; }});
  Gate gate(helper.path());
  EXPECT_EQ(gate.line(), "(end)");
}

TEST(Listen, ReplacesAStaleSocketAndRefusesALivingOne) {
  Folder folder;
  const std::string path = folder.socket();
  const int dead = postern_helper_listen(path.c_str(), 0640, static_cast<gid_t>(-1));
  ASSERT_GE(dead, 0);
  struct stat status;
  ASSERT_EQ(lstat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_EQ(postern_helper_listen(path.c_str(), 0600, static_cast<gid_t>(-1)), -1);
  EXPECT_EQ(errno, EADDRINUSE);
  close(dead);  // as if the process had died: the file stays

  const int next = postern_helper_listen(path.c_str(), 0600, static_cast<gid_t>(-1));
  ASSERT_GE(next, 0);
  postern_helper_unlisten(next, path.c_str());
  EXPECT_NE(lstat(path.c_str(), &status), 0);
}

TEST(Listen, LeavesOtherFilesAlone) {
  Folder folder;
  const std::string path = folder.socket();
  close(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EQ(postern_helper_listen(path.c_str(), 0600, static_cast<gid_t>(-1)), -1);
  EXPECT_EQ(errno, EEXIST);
  struct stat status;
  EXPECT_EQ(lstat(path.c_str(), &status), 0);
  EXPECT_EQ(postern_helper_listen("/nowhere/at/all.sock", 0600, static_cast<gid_t>(-1)), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(postern_helper_listen(std::string(200, 'x').c_str(), 0600, static_cast<gid_t>(-1)), -1);
  EXPECT_EQ(errno, ENAMETOOLONG);
}

}  // namespace
