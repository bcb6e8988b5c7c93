// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/wire/machine.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "absl/strings/str_format.h"

namespace postern::wire {
namespace {

absl::Status system_failure(const std::string& what) {
  return absl::InternalError(absl::StrFormat("%s: %s", what, std::strerror(errno)));
}

}  // namespace

absl::StatusOr<Endpoint> parse_endpoint(std::string_view text, bool free_port) {
  std::optional<Endpoint> endpoint;
  if (free_port && text.ends_with(":0")) {
    endpoint = Endpoint::parse(text.substr(0, text.size() - 2), 1);
    if (endpoint) endpoint->port = 0;
  } else {
    endpoint = Endpoint::parse(text);
  }
  if (endpoint) return *endpoint;
  return absl::InvalidArgumentError(
      absl::StrFormat("\"%s\" is not an address with a port, such as 127.0.0.1:993 or [::1]:993", std::string(text)));
}

absl::StatusOr<int> listen_tcp(const Endpoint& at) {
  sockaddr_storage storage{};
  const socklen_t size = at.to_sockaddr(storage);
  const int listener = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return system_failure("no socket");
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&storage), size) == 0 && ::listen(listener, 65535) == 0) {
    return listener;
  }
  const absl::Status failure = system_failure("cannot listen at " + at.text());
  ::close(listener);
  return failure;
}

absl::StatusOr<int> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return absl::InvalidArgumentError("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return system_failure("no socket");
  ::unlink(path.c_str());
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(listener, 1024) == 0) {
    return listener;
  }
  const absl::Status failure = system_failure("cannot listen at " + path);
  ::close(listener);
  return failure;
}

Endpoint bound_endpoint(int listener) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&storage), &size);
  return Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size).value_or(Endpoint{});
}

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

absl::Status pin_to_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (core >= 0 && core < CPU_SETSIZE) CPU_SET(static_cast<size_t>(core), &cores);
  if (::sched_setaffinity(0, sizeof cores, &cores) == 0) return absl::OkStatus();
  return system_failure(absl::StrFormat("cannot stay on core %d", core));
}

absl::StatusOr<int> catch_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1})
    sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int descriptor = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (descriptor < 0) return system_failure("no signalfd");
  return descriptor;
}

}  // namespace postern::wire
