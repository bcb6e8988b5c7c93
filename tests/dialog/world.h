// SPDX-License-Identifier: GPL-3.0-or-later
// World: a gate without a kernel. It plays the reactor's part for real sessions and a real desk (carries events in and
// plans out, in the reactor's order) over a clock that stands still until it is told to go on.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/cache.h"
#include "auth/desk.h"
#include "base/clock.h"
#include "end.h"
#include "helper_end.h"
#include "script.h"
#include "session/session.h"

namespace postern::dialog {

class World {
 public:
  // What the gate is started with: loaded once a dialog, used in every run of it.
  struct Start {
    std::shared_ptr<const session::Setup> setup;
    auth::Options auth;
  };

  World(const Start& start, const Dialog& dialog, Cutter& cutter);
  ~World();

  // A mail program connects; null: nobody listens.
  End* connect(const std::string& listener, const Endpoint& from);
  // The connections to mail servers in the order in which they came to be.
  End* back(size_t number) { return number <= backs_.size() ? &backs_[number - 1] : nullptr; }
  size_t backs() const { return backs_.size(); }
  std::deque<End>& fronts() { return fronts_; }
  HelperEnd& helper() { return helper_; }

  // Everything that can happen now happens.
  void settle();
  // Goes on to the next moment at which something is due, if that is not after `limit`; false: nothing is.
  bool pass_to_next(Instant limit);
  void pass(Duration time);
  Instant now() const { return now_; }
  Instant next_deadline() const;

  void reload(std::shared_ptr<const session::Setup> setup) { surroundings_.setup = std::move(setup); }
  // As on SIGTERM: sessions before login end now, relays when the time is over.
  void drain(Duration timeout);

  size_t sessions() const { return places_.size(); }
  size_t lent() const { return surroundings_.pool.lent(); }
  // The most that was ever lent.
  size_t lent_peak() const { return lent_peak_; }
  const std::vector<std::string>& log();

 private:
  // One of a session's sockets.
  struct Socket {
    End* end = nullptr;
    std::string_view flying;  // what the end has not taken of the block in flight
    bool sending = false;
    bool finished = false;
    bool bulk = false;
  };
  // A session in its place.
  struct Place {
    std::optional<session::Session> session;
    Socket front, back;
    uint32_t back_attempt = 0;
    bool connecting = false;
    uint64_t ticket = 0;
    bool over = false;
  };

  // Each takes one step, if there is one to take.
  bool step(Place& place);
  bool step_session(Place& place);
  bool step_back(Place& place, const session::Plan& plan);
  bool step_socket(Place& place, Side side, bool receive, bool finish);
  bool send(Place& place, Side side);
  bool receive(Place& place, Side side);
  bool serve_desk();
  bool serve_helper_link();
  void end_helper_link(std::string_view why);
  void forget(Place& place);
  void move(Place& place);
  BackTemper temper_of(const Endpoint& endpoint) const;

  const Dialog& dialog_;
  Cutter& cutter_;
  Instant now_;
  session::Counts counts_;
  session::Admission admission_;
  session::Surroundings surroundings_{.counts = &counts_, .admission = &admission_};
  auth::Options auth_;
  auth::Cache cache_;
  auth::Desk desk_;
  HelperEnd helper_;
  std::deque<End> fronts_, backs_;  // addresses stay
  std::deque<std::unique_ptr<Place>> places_;
  uint64_t next_id_ = 0x5e55104000000001;
  size_t lent_peak_ = 0;
  size_t steps_ = 0;
  bool draining_ = false;
  Instant drain_until_ = instant_never;
  std::vector<std::string> log_;
};

}  // namespace postern::dialog
