// SPDX-License-Identifier: GPL-3.0-or-later
// The control socket against those who talk nonsense, or nothing, or do not listen.
#include "control/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace postern::control {
namespace {

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern-control-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    path_ = folder_ + "/socket";
    Door door;
    ASSERT_TRUE(door.open(path_, geteuid(), getegid()).ok());
    server_ = std::make_unique<Server>(std::move(door));
    server_->start([](const auth::Form& request, Answer answer) {
      if (request.get("op") == "large") {
        for (int i = 0; i < 100'000; ++i)
          answer.add(Json{{"filler", std::string(200, 'x')}});
      }
      if (request.get("op") == "never") return;
      answer.end(Json{{"echo", std::string(request.get("op"))}});
    });
  }
  void TearDown() override {
    server_.reset();
    EXPECT_NE(::access(path_.c_str(), F_OK), 0) << "the socket goes with its server";
    ::rmdir(folder_.c_str());
  }

  int connect() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  // Whether all could be said.
  static bool say(int fd, std::string_view bytes) {
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  static std::string hear(int fd, size_t lines) {
    std::string heard;
    char c;
    while (lines != 0 && ::read(fd, &c, 1) == 1) {
      heard += c;
      lines -= c == '\n';
    }
    return heard;
  }
  std::string ask(std::string_view line) {
    const int fd = connect();
    say(fd, line);
    const std::string heard = hear(fd, 1);
    ::close(fd);
    return heard;
  }

  std::string folder_, path_;
  std::unique_ptr<Server> server_;
};

constexpr char echo[] = "{\"echo\":\"hello\",\"result\":\"ok\"}\n";

TEST_F(ServerTest, AnswersOneRequestAfterTheOther) {
  const int fd = connect();
  say(fd, "op=hello\nop=hel");
  EXPECT_EQ(hear(fd, 1), echo);
  say(fd, "lo\r\n\n");
  EXPECT_EQ(hear(fd, 2), std::string(echo) + "{\"echo\":\"\",\"result\":\"ok\"}\n");
  ::shutdown(fd, SHUT_WR);
  EXPECT_EQ(hear(fd, 1), "") << "it hangs up when nothing more comes";
  ::close(fd);
}

TEST_F(ServerTest, AnswersWhoHasSaidHisLast) {
  const int fd = connect();
  say(fd, "op=hello\n");
  ::shutdown(fd, SHUT_WR);
  EXPECT_EQ(hear(fd, 2), echo);
  ::close(fd);
}

TEST_F(ServerTest, RefusesWhatIsTooLongOrNoForm) {
  const int fd = connect();
  const std::string piece(4096, 'x');
  for (int i = 0; i < 8 && say(fd, piece); ++i) {
  }
  EXPECT_NE(hear(fd, 1).find("\"result\":\"error\""), std::string::npos);
  ::close(fd);
  EXPECT_NE(ask("op=%zz\n").find("\"result\":\"error\""), std::string::npos);
  EXPECT_EQ(ask("op=hello\n"), echo) << "others are served on";
}

TEST_F(ServerTest, BytesThatAreNoTextComeBackAsJson) {
  EXPECT_EQ(ask("op=%ff%0a%22\n"), "{\"echo\":\"\\ufffd\\n\\\"\",\"result\":\"ok\"}\n");
}

TEST_F(ServerTest, TooManyAreTurnedAwayAndAllAreServedLater) {
  std::vector<int> fds;
  for (size_t i = 0; i < Server::clients_max; ++i) {
    fds.push_back(connect());
    say(fds.back(), "op=hello\n");
    EXPECT_EQ(hear(fds.back(), 1), echo);
  }
  const int one_more = connect();
  EXPECT_NE(hear(one_more, 1).find("too many"), std::string::npos);
  ::close(one_more);
  for (const int fd : fds)
    ::close(fd);
  std::string heard;
  while (heard != echo)
    heard = ask("op=hello\n");
}

TEST_F(ServerTest, WhoDoesNotReadIsHungUpOnAndHoldsUpNobody) {
  const int fd = connect();
  say(fd, "op=large\n");
  EXPECT_EQ(ask("op=hello\n"), echo);
  size_t heard = 0;
  char bytes[65536];
  for (ssize_t size; (size = ::read(fd, bytes, sizeof bytes)) > 0;)
    heard += static_cast<size_t>(size);
  EXPECT_LT(heard, size_t{1'000'000}) << "it gets what was in the socket and no more";
  ::close(fd);
}

TEST_F(ServerTest, StopsWhileAnAnswerIsOutstanding) {
  const int fd = connect();
  say(fd, "op=never\n");
  EXPECT_EQ(ask("op=hello\n"), echo);
  server_->stop();
  EXPECT_EQ(hear(fd, 1), "");
  ::close(fd);
}

TEST_F(ServerTest, OnlyOneListensAndAnOldSocketIsReplaced) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  Door second;
  EXPECT_NE(second.open(path_, geteuid(), getegid()).message().find("another process listens"),
            absl::string_view::npos);
  EXPECT_EQ(ask("op=hello\n"), echo);
  // A socket that its process left behind.
  const std::string stale = folder_ + "/stale";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  stale.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  EXPECT_TRUE(second.open(stale, geteuid(), getegid()).ok());
  second.close();
  const std::string file = folder_ + "/file";
  ::close(::creat(file.c_str(), 0600));
  EXPECT_NE(second.open(file, geteuid(), getegid()).message().find("no socket"), absl::string_view::npos);
  ::unlink(file.c_str());
}

}  // namespace
}  // namespace postern::control
