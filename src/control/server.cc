// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace postern::control {
namespace {

// Lack of descriptors passes; asking for it in a loop would not help.
constexpr Duration accept_pause = std::chrono::seconds(1);
constexpr size_t read_size = 4096;

Instant clock_now() {
  return std::chrono::steady_clock::now();
}

bool address_of(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  memcpy(address.sun_path, path.data(), path.size());
  return true;
}

// Somebody accepts there.
bool is_served(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(fd);
  // EAGAIN: his queue is full, so he is there.
  return result == 0 || error == EAGAIN;
}

// Of the file that has this path; 0: there is none.
uint64_t number_of(const std::string& path) {
  struct stat found;
  return ::lstat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

}  // namespace

// ---- The socket ----------------------------------------------------------------------------------------------------

Door& Door::operator=(Door&& other) noexcept {
  if (this == &other) return *this;
  close();
  path_ = std::move(other.path_);
  number_ = other.number_;
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

absl::Status Door::open(const std::string& path, uint32_t user, uint32_t group, bool takes_over) {
  const auto fault = [&path](std::string_view what) {
    return absl::FailedPreconditionError(absl::StrFormat("gate.control: %s: %s", path, what));
  };
  sockaddr_un address;
  if (!address_of(path, address)) return fault("the path is too long for a socket");
  struct stat found;
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return fault("there is a file that is no socket. Remove it, or name another path");
    if (!takes_over && is_served(address)) {
      return fault("another process listens there, perhaps another gate. End it, or give each gate a path of its own");
    }
    if (::unlink(path.c_str()) != 0) {
      return fault(absl::StrFormat("nobody listens there, but the old socket cannot be removed: %s", strerror(errno)));
    }
  }
  close();
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fault(strerror(errno));
  // Nobody may connect before the owner is right.
  const mode_t old_mask = ::umask(0777);
  const int bound = ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(old_mask);
  if (bound != 0) {
    ::close(std::exchange(fd_, -1));
    return fault(
        absl::StrFormat("%s. The folder must exist, and the gate must be allowed to write there", strerror(error)));
  }
  path_ = path;
  number_ = number_of(path_);
  const bool owned = ::geteuid() != 0 || ::chown(path.c_str(), user, group) == 0;
  if (!owned || ::chmod(path.c_str(), 0660) != 0 || ::listen(fd_, static_cast<int>(Server::clients_max)) != 0) {
    const absl::Status status = fault(strerror(errno));
    close();
    return status;
  }
  return absl::OkStatus();
}

void Door::close() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  // Another gate may have taken the path over. The folder may not be ours; then the next gate finds that nobody listens
  // there.
  if (number_of(path_) == number_) (void)::unlink(path_.c_str());
}

// ---- Answers -------------------------------------------------------------------------------------------------------

void Answer::add(const Json& document) {
  if (Server::Client* client = server_->find(client_, request_)) server_->say(*client, document);
}

void Answer::end(Json document) {
  Server::Client* client = server_->find(client_, request_);
  if (client == nullptr) return;
  if (!document.contains("result")) document["result"] = "ok";
  server_->say(*client, document);
  client->answering = false;
  client->more = nullptr;
  client->gone = nullptr;
  client->late = nullptr;
  client->late_at = instant_never;
  client->due = clock_now() + Server::patience;
}

void Answer::fail(std::string_view sentence) {
  end(Json{{"result", "error"}, {"text", std::string(sentence)}});
}

bool Answer::is_wanted() const {
  return server_->find(client_, request_) != nullptr;
}

void Answer::when_room(std::function<void()> more) {
  if (Server::Client* client = server_->find(client_, request_)) client->more = std::move(more);
}

void Answer::when_gone(std::function<void()> gone) {
  if (Server::Client* client = server_->find(client_, request_)) client->gone = std::move(gone);
}

void Answer::at(Instant due, std::function<void()> late) {
  Server::Client* client = server_->find(client_, request_);
  if (client == nullptr) return;
  client->late_at = due;
  client->late = std::move(late);
}

// ---- The thread ----------------------------------------------------------------------------------------------------

void Server::start(Handle handle) {
  handle_ = std::move(handle);
  thread_ = std::thread([this] { run(); });
}

void Server::stop() {
  if (!thread_.joinable()) return;
  errands_->post([this] { stopping_ = true; });
  thread_.join();
  while (!clients_.empty())
    drop(clients_.begin()->first);
  door_.close();
}

void Server::run() {
  std::vector<pollfd> polled;
  std::vector<uint64_t> ids;
  while (!stopping_) {
    const Instant now = clock_now();
    polled.clear();
    ids.clear();
    polled.push_back({errands_->fd(), POLLIN, 0});
    polled.push_back({now >= accept_again_ ? door_.fd() : -1, POLLIN, 0});
    Instant due = now >= accept_again_ ? instant_never : accept_again_;
    for (const auto& [id, client] : clients_) {
      // While an answer is under way the client's next request waits in the socket. poll(2) tells of its hanging up
      // unasked.
      const bool reads = client.reads && !client.answering && !client.closing;
      const short events = static_cast<short>((reads ? POLLIN : 0) | (client.waiting() != 0 ? POLLOUT : 0));
      polled.push_back({client.fd, events, 0});
      ids.push_back(id);
      due = std::min({due, client.due, client.late_at});
    }
    int wait_ms = -1;
    if (due != instant_never) {
      const auto left = std::chrono::ceil<Duration>(due - now);
      wait_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
    }
    if (::poll(polled.data(), polled.size(), wait_ms) < 0) continue;
    const Instant then = clock_now();
    if (polled[0].revents != 0) errands_->run();
    for (size_t i = 0; i < ids.size(); ++i) {
      const short events = polled[i + 2].revents;
      const auto found = clients_.find(ids[i]);
      if (events == 0 || found == clients_.end()) continue;
      // What it said before it hung up still counts.
      if ((events & POLLIN) != 0) {
        receive(ids[i]);
      } else if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        drop(ids[i]);
      } else {
        send(found->second, then);
      }
    }
    if (polled[1].revents != 0) accept_clients(then);
    settle(then);
  }
}

void Server::accept_clients(Instant now) {
  while (true) {
    const int fd = ::accept4(door_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) accept_again_ = now + accept_pause;
      return;
    }
    Client& client = clients_[next_client_++];
    client.fd = fd;
    client.due = now + patience;
    if (clients_.size() > clients_max) {
      refuse(client, "too many are connected to the control socket");
      send(client, now);
      drop(next_client_ - 1);
    }
  }
}

void Server::receive(uint64_t id) {
  Client& client = clients_.at(id);
  char bytes[read_size];
  const ssize_t size = ::read(client.fd, bytes, sizeof bytes);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return drop(id);
  if (size == 0) {
    client.reads = false;
    return;
  }
  // A request that trickles in gets no new time; `due` moves when one is whole.
  client.lines.feed({bytes, static_cast<size_t>(size)});
}

// One after the other, as long as each is answered at once.
void Server::take_requests(uint64_t id) {
  while (true) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || found->second.answering || found->second.closing) return;
    Client& client = found->second;
    const std::optional<std::string_view> line = client.lines.next();
    if (!line) {
      if (client.lines.overflowed()) refuse(client, "the request is too long");
      return;
    }
    auth::Form form;
    if (const auth::FormFault fault = form.read(*line); fault != auth::FormFault::None) {
      return refuse(client, absl::StrFormat("the request is no form: %s", auth::form_fault_word(fault)));
    }
    client.request++;
    client.answering = true;
    client.due = clock_now() + patience;
    handle_(form, Answer(*this, id, client.request));
  }
}

void Server::say(Client& client, const Json& document) {
  if (client.closing) return;
  client.overflowed |= client.waiting() > waiting_max;
  if (client.overflowed) return;
  client.out += text_of(document);
  client.out += '\n';
}

void Server::refuse(Client& client, std::string_view sentence) {
  say(client, Json{{"result", "error"}, {"text", std::string(sentence)}});
  client.closing = true;
}

void Server::send(Client& client, Instant now) {
  while (client.waiting() != 0) {
    const ssize_t size = ::send(client.fd, client.out.data() + client.sent, client.waiting(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size < 0) {
      client.due = Instant::min();
      return;
    }
    client.sent += static_cast<size_t>(size);
    client.due = now + patience;
  }
  if (client.waiting() == 0) {
    client.out.clear();
    client.sent = 0;
  } else if (client.sent > read_size * 16) {
    client.out.erase(0, std::exchange(client.sent, 0));
  }
}

// After anything has happened: sends, goes on with long answers, takes the next requests, ends what is over.
void Server::settle(Instant now) {
  std::vector<uint64_t> ids;
  for (const auto& [id, client] : clients_)
    ids.push_back(id);
  for (const uint64_t id : ids) {
    take_requests(id);
    const auto found = clients_.find(id);
    if (found == clients_.end()) continue;
    Client& client = found->second;
    if (now >= client.late_at) {
      client.late_at = instant_never;
      const std::function<void()> late = std::exchange(client.late, nullptr);
      late();
    }
    send(client, now);
    if (client.answering && client.more && client.waiting() < room_below) {
      const std::function<void()> more = std::exchange(client.more, nullptr);
      more();
      send(client, now);
    }
    // While an answer is being made, its maker has the time that he needs; who must read has `patience`.
    const bool waits_for_us = client.answering && client.waiting() == 0;
    if (waits_for_us) client.due = now + patience;
    const bool is_over = !client.answering && client.waiting() == 0 && (client.closing || !client.reads);
    if (is_over || client.overflowed || now >= client.due) drop(id);
  }
}

void Server::drop(uint64_t id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  const std::function<void()> gone = std::move(found->second.gone);
  ::close(found->second.fd);
  clients_.erase(found);
  if (gone) gone();
}

Server::Client* Server::find(uint64_t id, uint64_t request) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second.request != request || !found->second.answering) return nullptr;
  return &found->second;
}

}  // namespace postern::control
