// SPDX-License-Identifier: GPL-3.0-or-later
#include "service/manager.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace postern::service {
namespace {

// For joining threads and the last log lines, once the last session has gone.
constexpr Duration closing_time{5000};

// A path, or "@name" for an address in the kernel's abstract space.
socklen_t fill_address(std::string_view name, sockaddr_un& address) {
  if (name.size() < 2 || name.size() >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return 0;
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path);
  if (name[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
}

void tell(const std::string& words) {
  const char* name = getenv("NOTIFY_SOCKET");
  if (name == nullptr) return;
  sockaddr_un address{};
  const socklen_t size = fill_address(name, address);
  if (size == 0) return;
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  static_cast<void>(
      sendto(descriptor, words.data(), words.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size));
  close(descriptor);
}

uint64_t monotonic_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

void tell_ready() {
  tell("READY=1");
}

void tell_stopping(Duration at_most) {
  const std::chrono::microseconds wait = at_most + closing_time;
  tell("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(wait.count()));
}

void tell_main_process(pid_t process) {
  tell("MAINPID=" + std::to_string(process));
}

// The time tells a manager that asked for the reload (Type=notify-reload) whether this is the answer.
Reloading::Reloading() {
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()));
}

Reloading::~Reloading() {
  tell_ready();
}

}  // namespace postern::service
