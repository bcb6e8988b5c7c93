// SPDX-License-Identifier: GPL-3.0-or-later
#include "ctl/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_format.h"
#include "auth/form.h"

namespace postern::ctl {
namespace {

std::string remedy(int error) {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
      return "nobody listens there. Is the gate running, and is this its gate.control? Another path is given with "
             "--socket";
    case EACCES:
      return "not allowed. Only root and the gate's own group may speak with it: use sudo, or join the group";
    default: return strerror(error);
  }
}

}  // namespace

Link::~Link() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status Link::open(const std::string& path) {
  path_ = path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(absl::StrFormat("%s: the path is too long for a socket", path));
  memcpy(address.sun_path, path.data(), path.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return absl::InternalError(strerror(errno));
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return absl::UnavailableError(absl::StrFormat("%s: %s", path, remedy(errno)));
  return absl::OkStatus();
}

absl::Status Link::ask(const Request& request) {
  auth::FormWriter writer;
  for (const auto& [key, value] : request)
    writer.add(key, value);
  const std::optional<Secret> line = writer.finish();
  if (!line) return absl::InvalidArgumentError("the request is too long for the gate");
  std::string_view bytes = line->reveal();
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // It may have said why before it hung up.
    if (sent < 0 && errno == EPIPE) return absl::OkStatus();
    if (sent < 0) return absl::UnavailableError(absl::StrFormat("%s: %s", path_, strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Link::next(Duration patience) {
  const Instant due = std::chrono::steady_clock::now() + patience;
  size_t scanned = 0;
  while (true) {
    const size_t end = received_.find('\n', scanned);
    if (end != received_.npos) {
      std::optional<std::string> line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    scanned = received_.size();
    const auto left = std::chrono::ceil<Duration>(due - std::chrono::steady_clock::now());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT32_MAX)));
    if (ready < 0 && errno == EINTR) return std::optional<std::string>();
    if (ready == 0) return std::optional<std::string>();
    char bytes[65536];
    const ssize_t size = ::read(fd_, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return absl::UnavailableError(absl::StrFormat("%s: the gate has hung up", path_));
    received_.append(bytes, static_cast<size_t>(size));
  }
}

}  // namespace postern::ctl
