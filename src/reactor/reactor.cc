// SPDX-License-Identifier: GPL-3.0-or-later
// The loop: completions in, submissions out, one system call a turn.
#include "reactor/reactor.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "reactor/limits_line.h"

namespace postern::reactor {
namespace {

// Receive buffers: many small ones for commands, a few large ones for mail. They are needed from a completion to its
// handling, within one turn; so their number bounds a turn's batch, not the sessions.
constexpr uint16_t small_group = 0;
constexpr uint32_t small_count = 512;
constexpr uint32_t small_size = 2048;
constexpr uint16_t large_group = 1;
constexpr uint32_t large_count = 16;
constexpr uint32_t large_size = 64 * 1024;

// Accepts under way a listener where each needs an address of its own.
constexpr uint32_t waiting_accepts_max = 16;
// Memory goes back to the system a moment after an eighth of the sessions have left: together, since it costs
// milliseconds, but soon enough for a machine that others share. A few that come and go are no reason.
constexpr uint32_t trim_sessions_min = 64;
constexpr Duration trim_delay = std::chrono::seconds(1);
// An accept that is being cancelled may still bring a connection.
constexpr Duration last_accepts = std::chrono::milliseconds(100);
// After a failure that is the machine's (no memory, no descriptors).
constexpr Duration accept_pause = std::chrono::milliseconds(100);

Instant clock_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

Reactor::Reactor(ReactorOptions options, std::shared_ptr<const session::Setup> setup,
                 std::vector<ListeningSocket> listening, Shared& shared)
    : options_(std::move(options)),
      shared_(shared),
      connections_(options_.sessions_max),
      wheel_(clock_now()),
      desk_(options_.auth, shared.cache),
      now_(clock_now()),
      listening_(std::move(listening)) {
  surroundings_.setup = std::move(setup);
  surroundings_.counts = &shared.counts;
  surroundings_.moves = &shared.moves;
  surroundings_.admission = &shared.admission;
}

Reactor::~Reactor() {
  join();
  for (const ListeningSocket& socket : listening_) {
    if (socket.fd >= 0) ::close(socket.fd);
  }
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

absl::Status Reactor::start() {
  std::future<absl::Status> started = started_.get_future();
  thread_ = std::thread([this] {
    const absl::Status status = set_up();
    started_.set_value(status);
    if (status.ok()) run();
    done_.store(true, std::memory_order_release);
  });
  absl::Status status = started.get();
  if (!status.ok()) join();
  return status;
}

void Reactor::join() {
  if (thread_.joinable()) thread_.join();
}

// By the reactor's own thread: the ring belongs to the one that made it.
absl::Status Reactor::set_up() {
  ring::RingOptions ring_options;
  ring_options.files = 2 * options_.sessions_max;
  ring_options.accepted_files = options_.sessions_max;
  ring_options.floor_features = options_.floor_features;
  absl::StatusOr<std::unique_ptr<ring::Ring>> made = ring::Ring::create(ring_options);
  if (!made.ok()) return made.status();
  ring_ = *std::move(made);
  absl::StatusOr<std::unique_ptr<ring::BufferGroup>> buffers =
      ring::BufferGroup::create(*ring_, small_group, small_count, small_size);
  if (!buffers.ok()) return buffers.status();
  small_ = *std::move(buffers);
  buffers = ring::BufferGroup::create(*ring_, large_group, large_count, large_size);
  if (!buffers.ok()) return buffers.status();
  large_ = *std::move(buffers);
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wake_fd_ < 0) return absl::InternalError(absl::StrFormat("eventfd: %s", strerror(errno)));
  if (options_.auth.mode == auth::Mode::Helper) {
    helper_ =
        std::make_unique<HelperLink>(*ring_, desk_, options_.auth.helper,
                                     HelperLink::Operations{HelperConnected, HelperReceived, HelperSent, Ignored});
  }
  return absl::OkStatus();
}

void Reactor::run() {
  ring_->read(wake_fd_, {reinterpret_cast<char*>(&wake_count_), sizeof wake_count_}, {Woken, 0, 0});
  for (uint32_t i = 0; i < listening_.size(); ++i)
    listen(i);
  serve_desk();
  while (!draining_ || connections_.live() != 0 || now_ < stay_until_)
    turn();
  flush_logs();
  end_mailbox();
  // The helper's link and the armed accepts end with the ring.
  ring_.reset();
}

void Reactor::turn() {
  const Instant due = next_deadline();
  std::optional<std::chrono::nanoseconds> timeout;
  if (due != instant_never)
    timeout = std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(due - clock_now()));
  ring_->wait(timeout);
  connect_addresses_.clear();
  now_ = clock_now();
  ring_->drain([this](const ring::Completion& completion) { handle(completion); });
  wheel_.advance(now_, expired_);
  for (const TimerWheel::Entry entry : expired_)
    expire(entry);
  expired_.clear();
  if (now_ >= accept_again_) resume_accepting();
  if (now_ >= drain_until_) stop_sessions();
  serve_desk();
  flush_logs();
  trim_memory();
}

void Reactor::trim_memory() {
  live_peak_ = std::max(live_peak_, connections_.live());
  if (trim_at_ == instant_never && live_peak_ - connections_.live() >= std::max(trim_sessions_min, live_peak_ / 8)) {
    trim_at_ = now_ + trim_delay;
  }
  if (now_ < trim_at_) return;
  trim_at_ = instant_never;
  live_peak_ = connections_.live();
  surroundings_.pool.trim();
  malloc_trim(0);
}

Instant Reactor::next_deadline() const {
  Instant due = std::min({wheel_.next(), accept_again_, drain_until_, trim_at_});
  if (now_ < stay_until_) due = std::min(due, stay_until_);
  if (helper_) due = std::min(due, desk_.next_deadline());
  return due;
}

void Reactor::handle(const ring::Completion& completion) {
  switch (static_cast<Operation>(completion.tag.operation)) {
    case Accepted: return accepted(completion);
    case AcceptedOne: return accepted_one(completion);
    case HelperConnected:
    case HelperReceived:
    case HelperSent: return helper_->completed(completion, now_);
    case Woken: return take_commands();
    case Ignored: return;
    case Named:
    case FrontReceived:
    case FrontSent:
    case FrontFinished:
    case FrontClosed:
    case BackSetUp:
    case BackConnected:
    case BackReceived:
    case BackSent:
    case BackFinished:
    case BackClosed:
    case FrontReadable:
    case FrontFilled:
    case FrontDrained:
    case BackReadable:
    case BackFilled:
    case BackDrained: return handle_connection(completion);
  }
}

void Reactor::handle_connection(const ring::Completion& completion) {
  Connection* const connection = connections_.find(completion.tag.index, completion.tag.generation);
  // A connection stays until the kernel holds nothing of it, so nobody's completion can come late.
  CHECK(connection != nullptr);
  switch (static_cast<Operation>(completion.tag.operation)) {
    case Named: return named(*connection, completion);
    case FrontReceived: return received(*connection, session::Side::Front, completion);
    case BackReceived: return received(*connection, session::Side::Back, completion);
    case FrontSent: return sent(*connection, session::Side::Front, completion);
    case BackSent: return sent(*connection, session::Side::Back, completion);
    case FrontFinished: connection->front.pending--; return settle(*connection);
    case BackFinished: connection->back.pending--; return settle(*connection);
    case BackSetUp: return;  // the connect that it was linked to says that it failed
    case BackConnected: return back_connected(*connection, completion);
    case BackClosed: return back_closed(*connection);
    case FrontClosed: return closed(*connection);
    case FrontReadable: return splice_readable(*connection, session::Side::Front);
    case BackReadable: return splice_readable(*connection, session::Side::Back);
    case FrontFilled: return splice_filled(*connection, session::Side::Front, completion);
    case BackFilled: return splice_filled(*connection, session::Side::Back, completion);
    case FrontDrained: return splice_drained(*connection, session::Side::Front, completion);
    case BackDrained: return splice_drained(*connection, session::Side::Back, completion);
    default: CHECK(false && "not a connection's operation");
  }
}

// ---- Accepting -----------------------------------------------------------------------------------------------------

void Reactor::listen(uint32_t listening) {
  if (!accepting_ || draining_ || listening_[listening].fd < 0) return;
  if (ring_->features().socket_options) {
    return ring_->accept_all(listening_[listening].fd, {Accepted, listening, 0});
  }
  for (uint32_t i = 0; i < waiting_accepts_max; ++i) {
    auto waiting = std::make_unique<WaitingAccept>();
    waiting->listening = listening;
    ring_->accept_one(listening_[listening].fd, &waiting->address, &waiting->size,
                      {AcceptedOne, static_cast<uint32_t>(waiting_accepts_.size()), 0});
    waiting_accepts_.push_back(std::move(waiting));
  }
}

void Reactor::accepted(const ring::Completion& completion) {
  const uint32_t listening = completion.tag.index;
  if (completion.result >= 0) {
    begin_naming(static_cast<uint32_t>(completion.result), listening);
  } else {
    accept_failed(-completion.result);
  }
  if (!completion.more()) listen(listening);
}

void Reactor::accepted_one(const ring::Completion& completion) {
  WaitingAccept& waiting = *waiting_accepts_[completion.tag.index];
  if (completion.result >= 0) {
    Connection& connection = connections_.create(static_cast<uint32_t>(completion.result), ++next_generation_);
    connection.listener = static_cast<uint16_t>(waiting.listening);
    const auto peer = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&waiting.address), waiting.size);
    begin_session(connection, peer.value_or(Endpoint()));
  } else {
    accept_failed(-completion.result);
  }
  if (!accepting_ || draining_ || listening_[waiting.listening].fd < 0) return;
  waiting.size = sizeof waiting.address;
  ring_->accept_one(listening_[waiting.listening].fd, &waiting.address, &waiting.size, completion.tag);
}

void Reactor::accept_failed(int error) {
  // The peer's: it hung up while it waited in the queue.
  if (error == ECONNABORTED || error == ECANCELED || error == EINTR || error == EAGAIN || error == EPROTO) return;
  surroundings_.logs.emplace_back(Severity::Error, "accept")
      .add("reactor", uint64_t{options_.number})
      .say(absl::StrFormat("a connection could not be accepted: %s", strerror(error)));
  pause_accepting();
  accept_again_ = now_ + accept_pause;
}

void Reactor::pause_accepting() {
  if (!accepting_) return;
  accepting_ = false;
  for (uint32_t i = 0; i < listening_.size(); ++i)
    ring_->cancel({Accepted, i, 0}, {Ignored, 0, 0});
  for (uint32_t i = 0; i < waiting_accepts_.size(); ++i)
    ring_->cancel({AcceptedOne, i, 0}, {Ignored, 0, 0});
}

void Reactor::resume_accepting() {
  accept_again_ = instant_never;
  if (accepting_ || draining_) return;
  accepting_ = true;
  if (ring_->features().socket_options) {
    for (uint32_t i = 0; i < listening_.size(); ++i)
      listen(i);
    return;
  }
  for (uint32_t i = 0; i < waiting_accepts_.size(); ++i) {
    WaitingAccept& waiting = *waiting_accepts_[i];
    waiting.size = sizeof waiting.address;
    if (listening_[waiting.listening].fd < 0) continue;
    ring_->accept_one(listening_[waiting.listening].fd, &waiting.address, &waiting.size, {AcceptedOne, i, 0});
  }
}

// ---- The helper ----------------------------------------------------------------------------------------------------

void Reactor::serve_desk() {
  if (!helper_) return;
  if (now_ >= desk_.next_deadline()) desk_.on_time(now_);
  helper_->settle(now_);
  while (std::optional<auth::DeskAnswer> answer = desk_.next_answer()) {
    const auto index = static_cast<uint32_t>(answer->ticket >> 32);
    const auto generation = static_cast<uint32_t>(answer->ticket);
    Connection* const connection = connections_.find(index, generation);
    if (connection == nullptr || connection->step != Connection::Step::Alive) continue;
    connection->session->answered(std::move(answer->verdict), now_);
    settle(*connection);
  }
  // An answered session may have asked again.
  helper_->settle(now_);
  while (std::optional<LogLine> line = desk_.next_log())
    surroundings_.logs.push_back(std::move(*line));
}

// ---- Other threads -------------------------------------------------------------------------------------------------

bool Reactor::post(Command command) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    if (mailbox_ended_) return false;
    mailbox_.push_back(std::move(command));
  }
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
  return true;
}

// The last turn is over: whoever waits for an answer hears that there are no sessions.
void Reactor::end_mailbox() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mailbox_mutex_);
    mailbox_ended_ = true;
    commands.swap(mailbox_);
  }
  for (const Command& command : commands) {
    if (const auto* walk = std::get_if<Walk>(&command)) obey(*walk);
    if (const auto* look = std::get_if<Look>(&command)) obey(*look);
  }
}

void Reactor::take_commands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mailbox_mutex_);
    commands.swap(mailbox_);
  }
  for (const Command& command : commands) {
    std::visit([this](const auto& what) { obey(what); }, command);
  }
  ring_->read(wake_fd_, {reinterpret_cast<char*>(&wake_count_), sizeof wake_count_}, {Woken, 0, 0});
}

// A listening socket that stays keeps its place and its accepts; so a reload loses no connection.
void Reactor::obey(const Reload& reload) {
  surroundings_.setup = reload.setup;
  for (uint32_t i = 0; i < listening_.size(); ++i) {
    ListeningSocket& old = listening_[i];
    const auto kept = std::find_if(reload.listening.begin(), reload.listening.end(),
                                   [&](const ListeningSocket& socket) { return socket.fd == old.fd; });
    if (kept != reload.listening.end()) {
      old = *kept;
    } else if (old.fd >= 0) {
      stop_listening(i);
    }
  }
  for (const ListeningSocket& wanted : reload.listening) {
    const bool is_known = std::any_of(listening_.begin(), listening_.end(),
                                      [&](const ListeningSocket& socket) { return socket.fd == wanted.fd; });
    if (is_known) continue;
    listening_.push_back(wanted);
    listen(static_cast<uint32_t>(listening_.size() - 1));
  }
}

void Reactor::stop_listening(uint32_t listening) {
  ring_->cancel({Accepted, listening, 0}, {Ignored, 0, 0});
  for (uint32_t i = 0; i < waiting_accepts_.size(); ++i) {
    if (waiting_accepts_[i]->listening == listening) ring_->cancel({AcceptedOne, i, 0}, {Ignored, 0, 0});
  }
  ::close(std::exchange(listening_[listening].fd, -1));
}

std::vector<Connection*> Reactor::alive() {
  std::vector<Connection*> found;
  connections_.for_each([&](Connection& connection) {
    if (connection.step == Connection::Step::Alive) found.push_back(&connection);
  });
  return found;
}

void Reactor::obey(const Drain& drain) {
  if (draining_) {
    drain_until_ = std::min(drain_until_, now_ + drain.timeout);
    return;
  }
  draining_ = true;
  drain_until_ = now_ + drain.timeout;
  serves_last_comers_ = !drain.ends_logins;
  stay_until_ = now_ + last_accepts;
  for (uint32_t i = 0; i < listening_.size(); ++i) {
    if (listening_[i].fd >= 0) stop_listening(i);
  }
  if (!drain.ends_logins) return;
  for (Connection* connection : alive()) {
    connection->session->drain(now_);
    settle(*connection);
  }
}

void Reactor::stop_sessions() {
  drain_until_ = instant_never;
  for (Connection* connection : alive()) {
    connection->session->stop(now_);
    settle(*connection);
  }
}

void Reactor::obey(const Report&) {
  uint64_t relaying = 0;
  connections_.for_each(
      [&](Connection& connection) { relaying += connection.session && connection.session->relaying(); });
  const session::Counters& counters = surroundings_.counters;
  surroundings_.logs.emplace_back(Severity::Notice, "status")
      .add("reactor", uint64_t{options_.number})
      .add("sessions", uint64_t{connections_.live()})
      .add("relaying", relaying)
      .add("accepted", counters.accepted)
      .add("turned_away",
           std::accumulate(std::begin(counters.turned_away), std::end(counters.turned_away), uint64_t{0}))
      .add("handshakes", counters.handshakes)
      .add("resumed", counters.handshakes_resumed)
      .add("handshakes_failed", counters.handshakes_failed)
      .add("logins", counters.logins)
      .add("refused", counters.refused)
      .add("unavailable", counters.unavailable)
      .add("back_failures", counters.back_failures)
      .add("bytes_in", counters.bytes_in)
      .add("bytes_out", counters.bytes_out)
      .add("spliced_bytes", spliced_bytes_)
      .add("lent_bytes", uint64_t{surroundings_.pool.lent()})
      .add("cq_overflows", uint64_t{ring_->overflows()});
  surroundings_.logs.push_back(limits_line(options_.number, counters, *surroundings_.admission));
}

void Reactor::obey(const Walk& walk) {
  std::vector<Connection*> found;
  const std::optional<uint32_t> next =
      connections_.for_some(walk.from, Walk::sessions_max, [&](Connection& connection) {
        if (connection.step == Connection::Step::Alive) found.push_back(&connection);
      });
  for (Connection* connection : found) {
    walk.visit(*connection->session, now_);
    settle(*connection);
  }
  walk.visited(next);
}

void Reactor::obey(const Look& look) {
  look.seen(figures());
}

void Reactor::obey(const EndTrace& end) {
  std::erase_if(surroundings_.traces, [&](const auto& wish) { return wish->id == end.id; });
}

Figures Reactor::figures() const {
  Figures figures;
  figures.number = options_.number;
  figures.sessions = connections_.live();
  figures.counters = surroundings_.counters;
  figures.helper = desk_.report();
  figures.spliced_bytes = spliced_bytes_;
  figures.lent_bytes = surroundings_.pool.lent();
  figures.cq_overflows = ring_->overflows();
  return figures;
}

void Reactor::flush_logs() {
  for (const LogLine& line : surroundings_.logs)
    shared_.log(line);
  surroundings_.logs.clear();
}

}  // namespace postern::reactor
