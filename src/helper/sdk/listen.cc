// SPDX-License-Identifier: GPL-3.0-or-later
// The helper's socket in the file system: made, its stale predecessor replaced, removed again.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "postern/helper.h"

namespace {

// Few gates connect, and rarely; while a helper starts, all reactors of a gate do at once.
constexpr int backlog = 128;

// Keeps errno over a clean-up.
void close_keeping_errno(int descriptor) {
  const int saved = errno;
  close(descriptor);
  errno = saved;
}

std::string folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

// The folder of `path`, locked until the descriptor is closed: of several helpers that start at once, one after the
// other looks whether the socket is stale. -1 with errno.
int lock_folder(std::string_view path) {
  const int descriptor = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  while (flock(descriptor, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    close_keeping_errno(descriptor);
    return -1;
  }
  return descriptor;
}

// True once nothing stands at the address; else errno says why something has to stay.
bool clear_address(const sockaddr_un& address) {
  struct stat status;
  if (lstat(address.sun_path, &status) != 0) return errno == ENOENT;
  if (!S_ISSOCK(status.st_mode)) {
    errno = EEXIST;
    return false;
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  close(probe);
  // Connected, or its queue is full (EAGAIN), or we may not even ask (EACCES): somebody may live there.
  if (!refused) {
    errno = EADDRINUSE;
    return false;
  }
  return unlink(address.sun_path) == 0 || errno == ENOENT;
}

// Nobody can connect before listen(), so nobody sees the socket with other permissions than these.
bool open_to(int descriptor, const sockaddr_un& address, mode_t mode, gid_t group) {
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  const bool ready = (group == static_cast<gid_t>(-1) || chown(address.sun_path, static_cast<uid_t>(-1), group) == 0) &&
                     chmod(address.sun_path, mode & 0777) == 0 && listen(descriptor, backlog) == 0;
  if (ready) return true;
  const int saved = errno;
  unlink(address.sun_path);
  errno = saved;
  return false;
}

}  // namespace

int postern_helper_listen(const char* path, mode_t mode, gid_t group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t size = strlen(path);
  if (size == 0 || size >= sizeof address.sun_path) {
    errno = size == 0 ? EINVAL : ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, size);
  const int folder = lock_folder(path);
  if (folder < 0) return -1;
  int descriptor = -1;
  if (clear_address(address)) {
    descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && !open_to(descriptor, address, mode, group)) {
      close_keeping_errno(descriptor);
      descriptor = -1;
    }
  }
  close_keeping_errno(folder);
  return descriptor;
}

void postern_helper_unlisten(int listener, const char* path) {
  // While we still listen, no other helper takes the path over: it is ours.
  unlink(path);
  close(listener);
}
