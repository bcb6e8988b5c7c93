// SPDX-License-Identifier: GPL-3.0-or-later
// What a service manager hears at its socket, and that nobody minds when there is none.
#include "service/manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

namespace postern::service::test {
namespace {

using testing::MatchesRegex;

// The manager's end; the environment names it as long as it lives.
class Manager {
 public:
  explicit Manager(const std::string& name) : name_(name), descriptor_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), address.sun_path);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(descriptor_);
    if (name_[0] == '/') unlink(name_.c_str());
  }

  // The next datagram; "nothing" if none waits.
  std::string heard() const {
    char bytes[256];
    const ssize_t size = recv(descriptor_, bytes, sizeof bytes, 0);
    return size < 0 ? "nothing" : std::string(bytes, static_cast<size_t>(size));
  }

 private:
  std::string name_;
  int descriptor_;
};

std::string path_of(const char* name) {
  return testing::TempDir() + "postern-service-" + std::to_string(getpid()) + name;
}

TEST(Manager, HearsOfStartReloadAndEnd) {
  const Manager manager(path_of("all"));
  tell_ready();
  EXPECT_EQ(manager.heard(), "READY=1");
  {
    const Reloading reloading;
    EXPECT_THAT(manager.heard(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+"));
    EXPECT_EQ(manager.heard(), "nothing");
  }
  EXPECT_EQ(manager.heard(), "READY=1");
  tell_stopping(Duration(600'000));
  EXPECT_EQ(manager.heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=605000000");
  EXPECT_EQ(manager.heard(), "nothing");
}

TEST(Manager, MayListenAtAnAbstractAddress) {
  const Manager manager("@postern-service-" + std::to_string(getpid()));
  tell_ready();
  EXPECT_EQ(manager.heard(), "READY=1");
}

TEST(Manager, IsNotMissed) {
  unsetenv("NOTIFY_SOCKET");
  tell_ready();
  // Nobody listens; not an address; longer than an address.
  for (const std::string& name :
       {path_of("nobody"), std::string("relative"), "/" + std::string(200, 'x'), std::string("@")}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    tell_ready();
    tell_stopping(Duration(0));
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace postern::service::test
