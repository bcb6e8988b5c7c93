// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sdk/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace postern::helper_sdk {
namespace {

// One reactor of a gate holds one connection: this is a machine with a great many cores.
constexpr uint32_t connections_default = 256;
// More than a gate keeps under way by itself, so that its own limit and not ours is met first.
constexpr uint32_t in_flight_default = 4096;
constexpr uint32_t drain_default_ms = 5000;
// Output that waits for a slow peer: several thousand answers. Beyond it the peer is not read; twice as much can only
// come from invalidations, and then the peer is given up: it has stopped reading altogether.
constexpr size_t output_size_max = 1 << 20;
// How long new connections wait when the system is out of descriptors.
constexpr int accept_pause_ms = 200;

// epoll's user data: connection numbers begin at 1, and these are never reached by counting.
constexpr uint64_t listener_mark = 0;
constexpr uint64_t wake_mark = UINT64_MAX;

uint32_t or_default(uint32_t value, uint32_t fallback) {
  return value != 0 ? value : fallback;
}

postern_helper_options filled(postern_helper_options options) {
  options.connections_max = or_default(options.connections_max, connections_default);
  options.in_flight_max = or_default(options.in_flight_max, in_flight_default);
  options.drain_ms = or_default(options.drain_ms, drain_default_ms);
  return options;
}

bool add_to_epoll(int epoll, int descriptor, uint32_t events, uint64_t mark) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = mark;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool set_nonblocking(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0;
}

bool is_passing(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

Server::Server(const postern_helper_options& options)
    : options_(filled(options)), name_(options.name != nullptr ? options.name : "helper") {}

Server::~Server() {
  for (auto& [number, connection] : connections_)
    ::close(connection->descriptor);
  if (wake_ >= 0) ::close(wake_);
  if (epoll_ >= 0) ::close(epoll_);
}

bool Server::open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  accepting_ = epoll_ >= 0 && wake_ >= 0 && set_nonblocking(options_.listener) &&
               add_to_epoll(epoll_, wake_, EPOLLIN, wake_mark) &&
               add_to_epoll(epoll_, options_.listener, EPOLLIN, listener_mark);
  return accepting_;
}

postern_fault Server::serve(postern_helper* self) {
  using Clock = std::chrono::steady_clock;
  self_ = self;
  Clock::time_point drain_end = Clock::time_point::max();
  while (true) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_, events, 64, wait_ms());
    if (count < 0 && errno != EINTR) return POSTERN_SYSTEM;
    for (int i = 0; i < count; ++i) {
      const uint64_t mark = events[i].data.u64;
      if (mark == wake_mark) {
        on_woken();
      } else if (mark == listener_mark) {
        accept_all();
      } else {
        on_event(mark, events[i].events);
      }
    }
    if (!stopping_) {
      if (count == 0 && !accepting_) accepting_ = add_to_epoll(epoll_, options_.listener, EPOLLIN, listener_mark);
      continue;
    }
    pause_accepting();
    if (drain_end == Clock::time_point::max()) drain_end = Clock::now() + std::chrono::milliseconds(options_.drain_ms);
    if (is_drained() || Clock::now() >= drain_end) break;
  }
  while (!connections_.empty())
    close(*connections_.begin()->second);
  return POSTERN_FINE;
}

int Server::wait_ms() const {
  if (stopping_) return 50;
  return accepting_ ? -1 : accept_pause_ms;
}

void Server::accept_all() {
  while (true) {
    if (connections_.size() >= options_.connections_max) return pause_accepting();
    const int descriptor = accept4(options_.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      admit(descriptor);
      continue;
    }
    // A connection that broke while it waited is not the listener's fault; the next one may be sound.
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (!is_passing(errno)) pause_accepting();
    return;
  }
}

// The listener stays ready while nobody accepts, and would keep this thread spinning.
void Server::pause_accepting() {
  if (accepting_) epoll_ctl(epoll_, EPOLL_CTL_DEL, options_.listener, nullptr);
  accepting_ = false;
}

void Server::admit(int descriptor) {
  auto connection = std::make_unique<Connection>();
  connection->descriptor = descriptor;
  connection->number = ++last_number_;
  connection->interest = EPOLLIN;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    connection->peer = {credentials.pid, credentials.uid, credentials.gid};
  }
  const bool welcome = options_.admit == nullptr || options_.admit(options_.context, &connection->peer) != 0;
  if (!welcome || !add_to_epoll(epoll_, descriptor, EPOLLIN, connection->number)) {
    ::close(descriptor);
    return;
  }
  const std::lock_guard guard(lock_);
  connections_.emplace(connection->number, std::move(connection));
}

void Server::on_event(uint64_t number, uint32_t events) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  // Both directions are gone: nobody is left who could read an answer.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close(connection);
  advance(connection, (events & EPOLLIN) != 0);
}

void Server::on_woken() {
  uint64_t count;
  while (::read(wake_, &count, sizeof count) < 0 && errno == EINTR) {
  }
  std::vector<uint64_t> answered;
  {
    const std::lock_guard guard(lock_);
    answered.swap(answered_);
  }
  for (const uint64_t number : answered) {
    const auto found = connections_.find(number);
    if (found != connections_.end()) advance(*found->second, false);
  }
  if (!stopping_) return;
  // What was read is still asked and what is due is still said, but no more is read.
  for (auto& [number, connection] : connections_) {
    connection->read_ended = true;
    watch(*connection);
  }
}

void Server::advance(Connection& connection, bool readable) {
  if (readable && read(connection) == Fate::Ends) return close(connection);
  bool more = true;
  while (more) {
    more = ask_all(connection) == Pause::Full;
    if (flush(connection) == Fate::Ends) return close(connection);
    // What the flush has freed lets lines go on that were read before.
    more = more && !is_full(connection);
  }
  if (is_finished(connection)) return close(connection);
  watch(connection);
}

Server::Fate Server::read(Connection& connection) {
  char bytes[16 * 1024];
  const ssize_t size = recv(connection.descriptor, bytes, sizeof bytes, 0);
  if (size > 0) {
    connection.input.feed({bytes, static_cast<size_t>(size)});
    wipe(bytes, static_cast<size_t>(size));
    return Fate::Lives;
  }
  if (size < 0) return is_passing(errno) ? Fate::Lives : Fate::Ends;
  // A half-close: `socat` sends its lines, shuts down and waits for the answers.
  connection.read_ended = true;
  return Fate::Lives;
}

Server::Pause Server::ask_all(Connection& connection) {
  while (!is_full(connection)) {
    const auto line = connection.input.next();
    if (line) {
      on_line(connection, *line);
      continue;
    }
    if (connection.input.overflowed()) {
      say_error(connection, {}, "line too long");
      connection.input.clear();
      connection.read_ended = true;
    }
    return Pause::NoLine;
  }
  return Pause::Full;
}

void Server::on_line(Connection& connection, std::string_view line) {
  if (line.empty() || line == "\r") return;
  postern_question* question = nullptr;
  if (postern_question_parse(line.data(), line.size(), &question) != POSTERN_FINE) {
    return say_error(connection, {}, "malformed line");
  }
  const std::string_view op = view(question->op);
  const std::string_view id = view(question->id);
  const auto asked = op == "verify" ? options_.verify : op == "scram" ? options_.scram : nullptr;
  if (asked != nullptr && !id.empty()) {
    owned(question)->connection = connection.number;
    owned(question)->peer = connection.peer;
    {
      const std::lock_guard guard(lock_);
      ++connection.in_flight;
    }
    asked(options_.context, self_, question);
    return;
  }
  if (op == "hello") {
    say(connection, build_hello(name_));
  } else {
    say_error(connection, id, asked != nullptr ? "a question needs an id" : "unknown op");
  }
  postern_question_free(question);
}

void Server::say(Connection& connection, const BuiltLine& built) {
  const std::lock_guard guard(lock_);
  connection.output.append(built.line.reveal());
}

void Server::say_error(Connection& connection, std::string_view id, const char* text) {
  postern_answer answer{};
  answer.result = POSTERN_ERROR;
  answer.text = postern_text(text);
  say(connection, build_answer(id, answer));
}

Server::Fate Server::flush(Connection& connection) {
  const std::lock_guard guard(lock_);
  while (!connection.output.empty()) {
    const std::string_view bytes = connection.output.reveal();
    const ssize_t sent = send(connection.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
      return is_passing(errno) && connection.output.size() <= 2 * output_size_max ? Fate::Lives : Fate::Ends;
    connection.output.drop_front(static_cast<size_t>(sent));
  }
  connection.output.clear();
  return Fate::Lives;
}

bool Server::is_full(const Connection& connection) {
  const std::lock_guard guard(lock_);
  return connection.in_flight >= options_.in_flight_max || connection.output.size() > output_size_max;
}

// Nothing is due in either direction, and nothing will come. Half a line at the end of a stream counts for nothing.
bool Server::is_finished(const Connection& connection) {
  if (!connection.read_ended) return false;
  const std::lock_guard guard(lock_);
  return connection.in_flight == 0 && connection.output.empty();
}

void Server::watch(Connection& connection) {
  uint32_t interest = 0;
  if (!connection.read_ended && !is_full(connection)) interest |= EPOLLIN;
  {
    const std::lock_guard guard(lock_);
    if (!connection.output.empty()) interest |= EPOLLOUT;
  }
  if (interest == connection.interest) return;
  connection.interest = interest;
  epoll_event event{};
  event.events = interest;
  event.data.u64 = connection.number;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor, &event);
}

void Server::close(Connection& connection) {
  ::close(connection.descriptor);
  const std::lock_guard guard(lock_);
  connections_.erase(connection.number);
}

bool Server::is_drained() {
  const std::lock_guard guard(lock_);
  for (const auto& [number, connection] : connections_) {
    if (connection->in_flight != 0 || !connection->output.empty()) return false;
  }
  return true;
}

postern_fault Server::answer(const OwnedQuestion& question, const postern_answer& answer) {
  BuiltLine built = build_answer(view(question.id), answer);
  const postern_fault fault = built.fault;
  if (fault != POSTERN_FINE) {
    postern_answer unavailable{};
    unavailable.text = postern_text("the helper's answer was malformed");
    built = build_answer(view(question.id), unavailable);
  }
  bool first = false;
  {
    const std::lock_guard guard(lock_);
    const auto found = connections_.find(question.connection);
    if (found == connections_.end()) return fault;
    found->second->output.append(built.line.reveal());
    --found->second->in_flight;
    first = answered_.empty();
    answered_.push_back(question.connection);
  }
  if (first) wake();
  return fault;
}

postern_fault Server::invalidate(std::string_view user) {
  const BuiltLine built = build_invalidate(user);
  if (built.fault != POSTERN_FINE) return built.fault;
  {
    const std::lock_guard guard(lock_);
    for (auto& [number, connection] : connections_) {
      connection->output.append(built.line.reveal());
      answered_.push_back(number);
    }
  }
  wake();
  return POSTERN_FINE;
}

void Server::stop() {
  stopping_ = true;
  wake();
}

void Server::wake() {
  const uint64_t one = 1;
  while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

}  // namespace postern::helper_sdk

using namespace postern::helper_sdk;

struct postern_helper {
  Server server;
};

postern_helper* postern_helper_new(const postern_helper_options* options) {
  if (options->listener < 0 || options->verify == nullptr) {
    errno = EINVAL;
    return nullptr;
  }
  auto helper = std::unique_ptr<postern_helper>(new postern_helper{Server(*options)});
  return helper->server.open() ? helper.release() : nullptr;
}

postern_fault postern_helper_serve(postern_helper* helper) {
  return helper->server.serve(helper);
}

postern_fault postern_helper_answer(postern_helper* helper, postern_question* question, const postern_answer* answer) {
  const postern_fault fault = helper->server.answer(*owned(question), *answer);
  postern_question_free(question);
  return fault;
}

postern_fault postern_helper_invalidate(postern_helper* helper, postern_bytes user) {
  return helper->server.invalidate(view(user));
}

void postern_helper_stop(postern_helper* helper) {
  helper->server.stop();
}

void postern_helper_free(postern_helper* helper) {
  delete helper;
}
