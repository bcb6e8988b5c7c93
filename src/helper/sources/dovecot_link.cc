// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/dovecot_link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "helper/socket_wait.h"

namespace postern::helper {
namespace {

using std::chrono::steady_clock;

// A line of Dovecot's is at most a little longer than ours: all fields of a user.
constexpr size_t input_size_max = 64 * 1024;

// Dovecot takes the process's number for the client's name and refuses a second one of the same name, but there may be
// several sources, and old ones during a reload. Linux's process numbers stay below 2^22.
std::string client_number() {
  static std::atomic<uint32_t> connections = 0;
  return std::to_string(static_cast<uint32_t>(getpid()) | (connections++ % 1024) << 22);
}

std::string connect_failure(const std::string& path, int error) {
  const std::string head = path + ": " + strerror(error) + ". ";
  if (error == EACCES)
    return head + "Let Dovecot's service auth make a unix_listener that postern-auth's user may write to";
  if (error == EAGAIN) return head + "Too many wait for Dovecot already";
  return head + "Does Dovecot run, with a unix_listener of that name in its service auth?";
}

}  // namespace

DovecotLink::~DovecotLink() {
  if (socket_ >= 0) close(socket_);
}

absl::Status DovecotLink::connect(bool& is_fresh) {
  is_fresh = false;
  if (socket_ >= 0 && !is_lost_) return absl::OkStatus();
  if (socket_ >= 0) close(socket_);
  is_fresh = true;
  ++generation_;
  is_ready_ = is_lost_ = false;
  mechanisms_.clear();
  input_.clear();
  socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path_.data(), std::min(path_.size(), sizeof address.sun_path - 1));
  if (socket_ < 0 || ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (socket_ >= 0) close(std::exchange(socket_, -1));
    return absl::UnavailableError(connect_failure(path_, error));
  }
  send("VERSION\t1\t1\nCPID\t" + client_number() + "\n");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> DovecotLink::mechanisms(Instant deadline) {
  Lock lock(lock_);
  for (int attempt = 0; attempt < 2; ++attempt) {
    // Whoever reads must have noticed before the socket goes.
    if (!changed_.wait_until(lock, deadline, [&] { return !is_lost_ || !is_reading_; })) break;
    bool is_fresh = false;
    if (const absl::Status status = connect(is_fresh); !status.ok()) return status;
    switch (wait(lock, generation_, deadline, [&] { return is_ready_; })) {
      case Waited::Done: return mechanisms_;
      case Waited::Lost: break;
      case Waited::Late:
        return absl::DeadlineExceededError(path_ +
                                           ": no greeting came in time. Is it the socket for clients (not auth-master, "
                                           "auth-userdb or auth-login of another kind)?");
    }
    if (is_fresh) break;
  }
  return absl::UnavailableError(path_ + ": " + why_lost_);
}

absl::StatusOr<DovecotAnswer> DovecotLink::ask(const std::function<Secret(uint32_t)>& question, Instant deadline) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    Lock lock(lock_);
    const bool is_fresh = !is_ready_ || is_lost_;
    lock.unlock();
    if (absl::StatusOr<std::vector<std::string>> greeting = mechanisms(deadline); !greeting.ok())
      return greeting.status();
    lock.lock();
    DovecotAnswer answer;
    switch (ask_on_this(lock, question, deadline, answer)) {
      case Waited::Done: return answer;
      case Waited::Late: return absl::DeadlineExceededError(path_ + ": no answer came in time");
      case Waited::Lost: break;
    }
    if (is_fresh) break;
  }
  const Lock lock(lock_);
  return absl::UnavailableError(path_ + ": " + why_lost_);
}

DovecotLink::Waited DovecotLink::ask_on_this(Lock& lock, const std::function<Secret(uint32_t)>& question,
                                             Instant deadline, DovecotAnswer& answer) {
  const uint32_t generation = generation_;
  const uint32_t id = ++last_id_ != 0 ? last_id_ : ++last_id_;
  std::optional<DovecotAnswer>& mine = waiting_[id];
  send(question(id).reveal());
  Waited waited = wait(lock, generation, deadline, [&] { return mine.has_value(); });
  if (waited == Waited::Done && mine->kind == DovecotAnswer::Kind::Continue) {
    // A token's failure comes as a challenge that wants an answer of one \001 (RFC 7628, section 3.2.3).
    mine.reset();
    send("CONT\t" + std::to_string(id) + "\tAQ==\n");
    waited = wait(lock, generation, deadline, [&] { return mine.has_value(); });
  }
  if (waited == Waited::Done) answer = std::move(*mine);
  if (waited == Waited::Late) send("CANCEL\t" + std::to_string(id) + "\n");
  waiting_.erase(id);
  return waited;
}

DovecotLink::Waited DovecotLink::wait(Lock& lock, uint32_t generation, Instant deadline,
                                      const std::function<bool()>& is_done) {
  while (true) {
    if (generation == generation_ && is_done()) return Waited::Done;
    if (generation != generation_ || is_lost_) return Waited::Lost;
    if (steady_clock::now() >= deadline) return Waited::Late;
    if (is_reading_) {
      changed_.wait_until(lock, deadline);
    } else {
      is_reading_ = true;
      read(lock, deadline);
      is_reading_ = false;
      changed_.notify_all();
    }
  }
}

// Without the lock while it waits: nobody else reads, and nobody closes the socket of a reader.
void DovecotLink::read(Lock& lock, Instant deadline) {
  std::array<char, 8192> bytes;
  const int socket = socket_;
  lock.unlock();
  const bool is_ready = wait_for(socket, POLLIN, deadline);
  const ssize_t size = is_ready ? recv(socket, bytes.data(), bytes.size(), 0) : -1;
  const int error = errno;
  lock.lock();
  if (size > 0) {
    input_.append({bytes.data(), static_cast<size_t>(size)});
    wipe(bytes.data(), static_cast<size_t>(size));
    take_input();
  } else if (size == 0) {
    lose(is_ready_ ? "Dovecot hung up" : "Dovecot hung up before its greeting was over. Is it a socket for clients?");
  } else if (is_ready && error != EAGAIN && error != EINTR) {
    lose(strerror(error));
  }
}

void DovecotLink::take_input() {
  for (size_t end = 0; (end = input_.reveal().find('\n')) != std::string_view::npos;) {
    take_line(input_.reveal().substr(0, end));
    input_.drop_front(end + 1);
  }
  if (input_.size() > input_size_max) lose("Dovecot sent a line without an end");
}

void DovecotLink::take_line(std::string_view line) {
  if (line.starts_with("VERSION\t") && !line.starts_with("VERSION\t1\t")) {
    lose("it speaks another version of the protocol than 1");
  } else if (line.starts_with("MECH\t")) {
    mechanisms_.emplace_back(line.substr(5, line.find('\t', 5) - 5));
  } else if (line == "DONE") {
    is_ready_ = true;
  } else if (std::optional<DovecotAnswer> answer = parse_dovecot_answer(line)) {
    // Nobody waits any more for a late one.
    const auto found = waiting_.find(answer->id);
    if (found != waiting_.end()) found->second = std::move(answer);
  }
}

// A socket that does not take a whole line is as good as lost: Dovecot does not read.
void DovecotLink::send(std::string_view line) {
  if (is_lost_) return;
  const ssize_t size = ::send(socket_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size != static_cast<ssize_t>(line.size()))
    lose(size < 0 && errno != EAGAIN ? strerror(errno) : "Dovecot does not read");
}

void DovecotLink::lose(std::string why) {
  is_lost_ = true;
  why_lost_ = std::move(why);
  // Wakes who reads.
  shutdown(socket_, SHUT_RDWR);
  changed_.notify_all();
}

}  // namespace postern::helper
