// SPDX-License-Identifier: GPL-3.0-or-later
// Desk: where a reactor's sessions hand in their questions. It answers from the cache or asks the helper, and knows
// what to do while the helper is slow, away or out of its mind. One a reactor; it owns the helper's connection in all
// but the socket, which the reactor carries.
//
// For sessions: ask() answers at once or later by next_answer(), exactly once unless forget() comes first.
//
//   - The same question (same credentials, listener and address, see CacheKeys) from several sessions is put once; all
//     who wait get the answer. A later one also shares the first one's time-out.
//   - No answer within Options::timeout is NotNow. The late answer still goes into the cache.
//   - More than Options::in_flight_max questions are NotNow at once.
//   - If the connection ends, its unanswered questions are put once more on the next one, within their time-out; a
//   second
//     end is NotNow: such a question may be what the helper dies of.
//   - While there is no connection, questions wait for it within their time-out, so that a restart of the helper goes
//     unnoticed. When the helper has been away for longer than one time-out, or speaks another version, they are NotNow
//     at once.
//   - Wherever the end would be NotNow, `unavailable` from the helper included, an accepted verdict that is no more
//   than
//     CacheOptions::stale past its ttl answers instead: at once while the helper is away or silent (questions time out
//     and nothing is answered), else when it turns out. A helper that wants a user held back invalidates it first.
//
// For the reactor: whenever wants_connection(), connect a stream socket to Options::helper and report on it by the
// on_... members. After any call look at must_disconnect(), wants_connection(), take_output(), next_answer() and
// next_log(), and set a timer for next_deadline(). Nothing here blocks, and no call costs more than the bytes and
// questions it is about.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "auth/cache.h"
#include "auth/form.h"
#include "auth/options.h"
#include "auth/question.h"
#include "auth/wire.h"
#include "base/clock.h"
#include "base/log_line.h"
#include "base/secret.h"

namespace postern::auth {

// The session's name for its question; a session has at most one question open.
using Ticket = uint64_t;

struct DeskAnswer {
  Ticket ticket = 0;
  Verdict verdict;
};

class Desk {
 public:
  struct Report {
    bool connected = false;  // the helper has said hello
    uint64_t in_flight = 0;  // questions waiting or put, now
    uint64_t waiting = 0;    // sessions that wait for them, now
    uint64_t asked = 0;      // questions put, repeated ones counted again
    uint64_t answered = 0;   // well-formed answers to questions in time
    uint64_t shared = 0;     // sessions that joined a question in flight
    uint64_t timed_out = 0;
    uint64_t late = 0;         // answers after the time-out
    uint64_t overloaded = 0;   // refused because too many were in flight
    uint64_t malformed = 0;    // answers that could not be used
    uint64_t connections = 0;  // made since the start

    // The figures of another desk, but for `connected`.
    void add(const Report& other);
  };

  // The cache must outlive the desk.
  Desk(const Options& options, Cache& cache);
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  // The verdict, or nullopt if it comes later under this ticket. The question is not kept.
  [[nodiscard]] std::optional<Verdict> ask(const Question& question, Ticket ticket, Instant now);
  // The session is gone: it gets no answer. Unknown tickets are nothing.
  void forget(Ticket ticket);
  std::optional<DeskAnswer> next_answer();
  // Bounded: a trouble that repeats is logged every ten seconds, with its count.
  std::optional<LogLine> next_log();

  // A connection is wanted now. Stays so until on_connecting().
  bool wants_connection(Instant now) const;
  void on_connecting(Instant now);
  void on_connected(Instant now);
  void on_received(std::string_view bytes, Instant now);
  // The connection ended, by whomever, or could not be made. `why`: a phrase for the log, such as strerror's; may be
  // empty.
  void on_disconnected(Instant now, std::string_view why = {});
  // The connection must be closed, or the attempt given up: the helper talks nonsense, another version, or does not say
  // hello in time. Report on_disconnected() when done; until then nothing else happens.
  bool must_disconnect() const { return state_ == State::Leaving; }
  // Bytes to send, in order, up to about 64 KiB at once; empty if there are none. Ask again when they are sent: what is
  // not taken can still time out or be forgotten without ever being put.
  [[nodiscard]] Secret take_output();

  // When on_time() must be called; after it, wants_connection() may be true. instant_never if nothing is due.
  Instant next_deadline() const;
  void on_time(Instant now);

  Report report() const;

 private:
  enum class State : uint8_t {
    Away,        // no connection; the next attempt is due at retry_at_
    Connecting,  // until hello_deadline_
    Greeting,    // connected, the helper's hello is awaited until hello_deadline_
    Ready,
    Leaving,  // the reactor is to close the connection
  };

  // A question that somebody may wait for.
  struct Flight {
    CacheKeys keys;
    BackPorts ports;
    std::string user;  // for the log
    Secret line;
    std::vector<Ticket> waiters;  // those whom by_ticket_ does not lead back here have left
    size_t waiting = 0;           // those who have not
    Instant deadline{};
    uint64_t epoch = 0;  // the cache's when it was put
    bool put = false;    // on the current connection
    bool repeated = false;
  };
  // By id. Ids grow and all questions have the same time to live, so the first is also the next to time out.
  using Flights = std::map<uint64_t, Flight>;

  // A question that timed out; its answer may still come.
  struct Late {
    CacheKeys keys;
    BackPorts ports;
    uint64_t epoch = 0;
  };

  // A trouble that may repeat: the first time is said at once, later ones are counted until an interval is over.
  struct Trouble {
    Instant next{};
    uint64_t unsaid = 0;

    // How many times to say, 0 for "not now".
    uint64_t happened(Instant now);
  };

  bool can_join(const CacheKeys& keys) const;
  void wait_for(Flight& flight, uint64_t id, Ticket ticket);
  // False if the question makes too long a line.
  [[nodiscard]] bool launch(const Question& question, const CacheKeys& keys, std::optional<Ticket> ticket, Instant now);
  Verdict give_up(const CacheKeys& keys, std::string why, Instant now);
  void finish(Flights::iterator flight, const Verdict& verdict);
  void put_again(Instant now);
  void forget_question(const CacheKeys& keys, uint64_t id);

  void on_line(std::string_view line, Instant now);
  void on_hello(const HeardHello& hello, Instant now);
  void on_answer(const HeardAnswer& heard, Instant now);
  void on_late_answer(const HeardAnswer& heard, Instant now);
  void on_malformed(std::string_view user, std::string_view fault, Instant now);
  void on_odd(std::string_view what, Instant now);
  void leave(std::string why, bool hopeless);
  void time_out_flights(Instant now);
  void expect_late(uint64_t id, const Late& late);

  bool state_unsaid() const;
  void say_state(Instant now);
  void log(LogLine line);

  const Options options_;
  Cache& cache_;

  State state_ = State::Away;
  Instant retry_at_{};
  Duration back_off_;
  Instant hello_deadline_ = instant_never;
  Instant refuse_from_ = instant_never;  // from here on no questions are taken: the helper has been away too long
  bool hello_unsent_ = false;
  bool hopeless_ = false;  // the last peer was no helper of our version; do not come back soon
  bool silent_ = false;    // the latest news is a time-out
  LineSplitter splitter_;

  uint64_t next_id_ = 1;
  Flights flights_;
  std::deque<uint64_t> unput_;  // ids of flights to put, in order; some may be gone
  std::map<uint64_t, Late> late_;
  // The latest question of each kind, in flights_ or late_: one that has a successor has nothing to tell the cache.
  absl::flat_hash_map<Digest, uint64_t> by_question_;
  absl::flat_hash_map<Ticket, uint64_t> by_ticket_;
  std::deque<DeskAnswer> answers_;

  std::deque<LogLine> log_;
  std::optional<bool> said_up_;  // what the log says of the helper
  std::string down_why_;         // empty: it is up, or was never tried
  std::string helper_name_;
  Instant state_log_window_{};  // begin of the minute in which state_lines_ were said
  uint32_t state_lines_ = 0;
  Trouble timeouts_, malformed_, overload_, oddities_;
  Report report_;
};

}  // namespace postern::auth
