// SPDX-License-Identifier: GPL-3.0-or-later
// Reactor: one thread with its ring, its listening sockets and its sessions. It carries events in and actions out and
// decides nothing about mail. Nothing is shared between reactors on the data path.
//
// Files: reactor.cc is the loop, the listeners and the mailbox; carry.cc moves the bytes of connections, splice.cc those
// of long plain streams.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "auth/cache.h"
#include "auth/desk.h"
#include "reactor/connection.h"
#include "reactor/helper_link.h"
#include "reactor/pipe_pool.h"
#include "reactor/timer_wheel.h"
#include "ring/buffer_group.h"
#include "ring/ring.h"
#include "session/surroundings.h"

namespace postern::reactor {

// A socket that listens for one reactor; the reactor closes it when it is done with it.
struct ListeningSocket {
  int fd = -1;
  uint16_t listener = 0;  // index in the setup's listeners
  Endpoint local;
};

// What all reactors of a process share: nothing that a byte of mail touches.
struct Shared {
  Shared(auth::Cache& verdicts, std::function<void(const LogLine&)> sink) : cache(verdicts), log(std::move(sink)) {}

  auth::Cache& cache;
  std::function<void(const LogLine&)> log;  // any thread; must not block
  std::atomic<uint32_t> sessions{0};        // for the limit on sessions
  session::Counts counts;                   // of mail servers and users with a limit
  session::Moves moves;
  session::Admission admission;  // of mail programs
};

struct ReactorOptions {
  uint32_t number = 0;        // of this reactor, for its log lines
  uint32_t sessions_max = 0;  // that this reactor can hold; two descriptors each
  bool floor_features = false;
  auth::Options auth;
};

// What other threads can ask of a reactor.
struct Reload {
  std::shared_ptr<const session::Setup> setup;
  std::vector<ListeningSocket> listening;  // all that should be listened on from now on; others are closed
};
struct Drain {
  Duration timeout{0};      // how long relays may go on
  bool ends_logins = true;  // sessions before their relay hear a goodbye at once; else they may log in, too
};
struct Report {};
// What a reactor counts.
struct Figures {
  uint32_t number = 0;    // of the reactor
  uint32_t sessions = 0;  // and connections that become one
  session::Counters counters;
  auth::Desk::Report helper;
  uint64_t spliced_bytes = 0;
  uint64_t lent_bytes = 0;
  uint64_t cq_overflows = 0;
};
// What the health checks found.
struct Views {
  std::shared_ptr<const session::PoolViews> views;
};
// The functions of these are called on the reactor's thread and must be quick.
// Visits some sessions: so many that the turn stays short. Whoever wants all of them asks again for where it says.
struct Walk {
  static constexpr uint32_t sessions_max = 256;  // and those of the page in which they are reached
  uint32_t from = 0;
  std::function<void(session::Session& session, Instant now)> visit;  // may end the session
  std::function<void(std::optional<uint32_t> next)> visited;          // nothing: that was all
};
struct Look {
  std::function<void(const Figures& figures)> seen;
};
// Somebody traces a user; nothing more of the wish with that number.
struct Trace {
  std::shared_ptr<session::TraceWish> wish;
};
struct EndTrace {
  uint64_t id = 0;
};
using Command = std::variant<Reload, Drain, Report, Views, Walk, Look, Trace, EndTrace>;

class Reactor {
 public:
  Reactor(ReactorOptions options, std::shared_ptr<const session::Setup> setup, std::vector<ListeningSocket> listening,
          Shared& shared);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Starts the thread; returns when its ring stands or says why it cannot.
  absl::Status start();
  // Any thread. False: its thread has ended, nothing will come of the command.
  bool post(Command command);
  // Waits until the thread has ended, which a Drain brings about.
  void join();
  bool done() const { return done_.load(std::memory_order_acquire); }

 private:
  enum Operation : uint8_t {
    Accepted,     // multishot, index: of the listening socket
    AcceptedOne,  // index: of the waiting accept
    Named,
    FrontReceived,
    FrontSent,
    FrontFinished,
    FrontClosed,
    BackSetUp,
    BackConnected,
    BackReceived,
    BackSent,
    BackFinished,
    BackClosed,
    FrontReadable,
    FrontFilled,
    FrontDrained,
    BackReadable,
    BackFilled,
    BackDrained,
    HelperConnected,
    HelperReceived,
    HelperSent,
    Woken,
    Ignored,
  };

  // Accepting stops this far before the table is full, since a multishot accept may have some more under way, and
  // resumes when there is twice as much room.
  static constexpr uint32_t accept_margin = 16;

  // A single accept that waits, on kernels where the multishot one could not tell the peer.
  struct WaitingAccept {
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_storage);
    uint32_t listening = 0;
  };

  // A direction whose bytes go through a pipe.
  struct Splice {
    Pipe pipe;
    uint32_t in_pipe = 0;  // bytes
    bool last = false;     // the stream ran dry: give the pipe back when it is empty
  };

  // reactor.cc
  absl::Status set_up();
  void run();
  void turn();
  void handle(const ring::Completion& completion);
  void handle_connection(const ring::Completion& completion);
  Instant next_deadline() const;
  void take_commands();
  void obey(const Reload& reload);
  void obey(const Drain& drain);
  void obey(const Report& report);
  void obey(const Views& views) { surroundings_.views = views.views; }
  void obey(const Walk& walk);
  void obey(const Look& look);
  void obey(const Trace& trace) { surroundings_.traces.push_back(trace.wish); }
  void obey(const EndTrace& end);
  Figures figures() const;
  void end_mailbox();
  void listen(uint32_t listening);
  void stop_listening(uint32_t listening);
  std::vector<Connection*> alive();
  void pause_accepting();
  void resume_accepting();
  void accepted(const ring::Completion& completion);
  void accepted_one(const ring::Completion& completion);
  void accept_failed(int error);
  void stop_sessions();
  void serve_desk();
  void trim_memory();
  void flush_logs();

  // carry.cc
  void begin_naming(uint32_t place, uint32_t listening);
  void begin_session(Connection& connection, const Endpoint& peer);
  void named(Connection& connection, const ring::Completion& completion);
  void received(Connection& connection, session::Side side, const ring::Completion& completion);
  void sent(Connection& connection, session::Side side, const ring::Completion& completion);
  void back_connected(Connection& connection, const ring::Completion& completion);
  void back_closed(Connection& connection);
  void settle(Connection& connection);
  void settle_back(Connection& connection, const session::Plan& plan);
  void carry(Connection& connection, session::Side side, bool receive, bool finish);
  void begin_closing(Connection& connection);
  void continue_closing(Connection& connection);
  void closed(Connection& connection);
  void expire(TimerWheel::Entry entry);

  // splice.cc
  bool wants_splice(const Connection& connection, session::Side side) const;
  bool begin_splice(Connection& connection, session::Side from);
  void await_splice(Connection& connection, session::Side from);
  void end_splice(Connection& connection, session::Side from);
  void splice_readable(Connection& connection, session::Side from);
  void splice_filled(Connection& connection, session::Side from, const ring::Completion& completion);
  void drain_splice(Connection& connection, session::Side from);
  void splice_drained(Connection& connection, session::Side from, const ring::Completion& completion);
  static uint64_t splice_key(const Connection& connection, session::Side from) {
    return uint64_t{connection.index} << 1 | (from == session::Side::Back ? 1 : 0);
  }

  ring::Tag tag(const Connection& connection, Operation operation) const;
  ring::File file(const Connection& connection, session::Side side) const;
  uint32_t back_place(const Connection& connection) const { return options_.sessions_max + connection.index; }

  const ReactorOptions options_;
  Shared& shared_;
  session::Surroundings surroundings_;
  std::unique_ptr<ring::Ring> ring_;
  std::unique_ptr<ring::BufferGroup> small_;
  std::unique_ptr<ring::BufferGroup> large_;
  Slab connections_;
  PipePool pipes_;
  absl::flat_hash_map<uint64_t, Splice> splices_;
  uint64_t spliced_bytes_ = 0;
  TimerWheel wheel_;
  auth::Desk desk_;
  std::unique_ptr<HelperLink> helper_;
  Instant now_;

  std::vector<ListeningSocket> listening_;
  std::vector<std::unique_ptr<WaitingAccept>> waiting_accepts_;
  bool accepting_ = true;
  Instant accept_again_ = instant_never;
  uint32_t next_generation_ = 0;
  std::deque<sockaddr_storage> connect_addresses_;  // until the next submit
  std::vector<TimerWheel::Entry> expired_;

  uint32_t live_peak_ = 0;  // sessions, since memory was last given back
  Instant trim_at_ = instant_never;
  bool draining_ = false;
  bool serves_last_comers_ = false;  // connections that were accepted as the drain began
  Instant drain_until_ = instant_never;
  Instant stay_until_ = instant_never;  // once draining: what was accepted meanwhile is known by then

  std::thread thread_;
  std::promise<absl::Status> started_;
  std::atomic<bool> done_{false};
  int wake_fd_ = -1;
  uint64_t wake_count_ = 0;
  std::mutex mailbox_mutex_;
  std::vector<Command> mailbox_;
  bool mailbox_ended_ = false;
};

}  // namespace postern::reactor
