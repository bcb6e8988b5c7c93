// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/conform/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>

namespace postern::helper::conform {

Link::~Link() {
  close();
}

std::string Link::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return "this is no path for a socket: " + path;
  memcpy(address.sun_path, path.data(), path.size());
  close();
  ended_ = false;
  input_.clear();
  // Connecting to a Unix socket waits only where the listener's queue is full; the send time-out is its limit.
  descriptor_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience_);
  const timeval limit{static_cast<time_t>(seconds.count()), 0};
  if (descriptor_ >= 0 && setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
      ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return "";
  }
  const std::string why = path + " cannot be reached: " + strerror(errno);
  close();
  return why;
}

bool Link::send(std::string_view bytes) {
  while (!bytes.empty() && !ended_) {
    if (!wait(true, patience_)) return false;
    const ssize_t size = ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size > 0) bytes.remove_prefix(static_cast<size_t>(size));
    if (size < 0 && errno != EAGAIN && errno != EINTR) break;  // What it said before it left can still be read.
  }
  return bytes.empty();
}

std::optional<Secret> Link::next_line() {
  return next_line(patience_);
}

std::optional<Secret> Link::next_line(Duration patience) {
  while (true) {
    if (const std::optional<std::string_view> line = input_.next()) return Secret(*line);
    if (input_.overflowed()) ended_ = true;
    if (ended_ || !wait(false, patience)) return std::nullopt;
  }
}

void Link::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  ended_ = true;
}

std::string Link::why() const {
  if (input_.overflowed()) return "it sent a line of more than 16384 bytes";
  if (ended_) return input_.in_mid_line() ? "it left in the middle of a line" : "it closed the connection";
  return "it did not answer in time";
}

bool Link::wait(bool to_send, Duration span) {
  if (ended_) return false;
  pollfd waiting{descriptor_, static_cast<short>(to_send ? POLLIN | POLLOUT : POLLIN), 0};
  int ready = 0;
  do {
    ready = poll(&waiting, 1, static_cast<int>(span.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  if ((waiting.revents & (POLLIN | POLLHUP | POLLERR)) != 0) read();
  return true;
}

void Link::read() {
  char bytes[16 * 1024];
  const ssize_t size = recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT);
  if (size > 0) {
    input_.feed({bytes, static_cast<size_t>(size)});
    wipe(bytes, static_cast<size_t>(size));
  } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
    ended_ = true;
  }
}

}  // namespace postern::helper::conform
