// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/succession.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/packing.h"

namespace postern::daemon {
namespace {

// Names the link's descriptor to the new process.
constexpr char variable[] = "POSTERN_PREDECESSOR";
constexpr int link_of_child = 3;
// Of what is said on the link; a new process of another one is not believed.
constexpr uint32_t version = 1;
constexpr size_t message_size_max = 4096;
// Neither process waits longer than this for the other one's next message.
constexpr timeval message_patience{10, 0};
constexpr char ready_word[] = "ready";

bool send_message(int link, std::string_view bytes, int fd) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(link, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

// A message's bytes in `room`, and the descriptor that came with it, or -1. Nullopt: none came in time, or the other
// process is gone.
std::optional<std::string_view> receive_message(int link, std::span<char> room, int& fd) {
  iovec piece{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  fd = -1;
  ssize_t size;
  do {
    size = recvmsg(link, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  if (size <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return std::nullopt;
  return std::string_view(room.data(), static_cast<size_t>(size));
}

void be_patient(int link) {
  setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &message_patience, sizeof message_patience);
  setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &message_patience, sizeof message_patience);
}

absl::Status spawn(const std::vector<std::string>& arguments, int link, pid_t& pid) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string mine = absl::StrFormat("%s=%d", variable, link_of_child);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(std::string(variable) + "=")) environment.push_back(*entry);
  }
  environment.push_back(const_cast<char*>(mine.c_str()));
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, link, link_of_child);
  const int error = posix_spawn(&pid, arguments.front().c_str(), &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrFormat("%s cannot be started: %s", arguments.front(), strerror(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Successor>> Successor::start(const std::vector<std::string>& arguments,
                                                            const std::vector<Heirloom>& sockets,
                                                            const Secret& ticket_keys) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(absl::StrFormat("a new process cannot be reached: %s", strerror(errno)));
  }
  std::unique_ptr<Successor> successor(new Successor());
  successor->link_ = ends[0];
  be_patient(ends[0]);
  const absl::Status status = spawn(arguments, ends[1], successor->pid_);
  ::close(ends[1]);
  if (!status.ok()) return status;
  Packer first;
  first.put(version);
  first.put(static_cast<uint32_t>(sockets.size()));
  first.put(ticket_keys.reveal());
  bool sent = send_message(ends[0], first.reveal(), -1);
  for (size_t i = 0; i < sockets.size() && sent; ++i) {
    Packer packer;
    packer.put(sockets[i].local);
    sent = send_message(ends[0], packer.reveal(), sockets[i].fd);
  }
  if (sent) return successor;
  return absl::UnavailableError("the new process did not take the listening sockets");
}

Successor::~Successor() {
  if (link_ >= 0) ::close(link_);
  if (pid_ <= 0 || ready_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Successor::News Successor::news() {
  char room[sizeof ready_word];
  int fd = -1;
  const std::optional<std::string_view> word = receive_message(link_, room, fd);
  if (fd >= 0) ::close(fd);
  if (word != ready_word) return News::Gone;
  ready_ = true;
  return News::Ready;
}

std::optional<Predecessor> Predecessor::find() {
  const char* number = getenv(variable);
  if (number == nullptr) return std::nullopt;
  const int link = atoi(number);
  unsetenv(variable);
  int domain = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(link, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return std::nullopt;
  fcntl(link, F_SETFD, FD_CLOEXEC);
  be_patient(link);
  return Predecessor(link);
}

Predecessor::Predecessor(Predecessor&& other) noexcept : link_(std::exchange(other.link_, -1)) {}

Predecessor::~Predecessor() {
  if (link_ >= 0) ::close(link_);
}

absl::StatusOr<Inheritance> Predecessor::inherit() {
  const absl::Status broken = absl::UnavailableError("the running gate did not hand over its listening sockets");
  Inheritance inheritance;
  char room[message_size_max];
  int fd = -1;
  const std::optional<std::string_view> first = receive_message(link_, room, fd);
  if (!first) return broken;
  Unpacker unpacker(*first);
  const auto their_version = unpacker.get<uint32_t>();
  const auto count = unpacker.get<uint32_t>();
  inheritance.ticket_keys = Secret(unpacker.text());
  wipe(room, sizeof room);
  if (their_version != version || !unpacker.whole()) {
    return absl::FailedPreconditionError(
        "the running gate is of a version that hands over in another way: restart it, then upgrade");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const std::optional<std::string_view> message = receive_message(link_, room, fd);
    if (!message || fd < 0) return broken;
    Unpacker socket(*message);
    inheritance.sockets.push_back({fd, socket.endpoint()});
    if (!socket.whole()) return broken;
  }
  return inheritance;
}

void Predecessor::say_ready() {
  send_message(link_, ready_word, -1);
}

}  // namespace postern::daemon
