// SPDX-License-Identifier: GPL-3.0-or-later
// Commands: what posternctl can ask of a running gate. Lives on the control thread; reactors and the main thread are
// asked by messages and answer by errands, so nobody waits for anybody.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/cache.h"
#include "control/board.h"
#include "control/errands.h"
#include "control/filter.h"
#include "control/log_sink.h"
#include "control/metrics.h"
#include "control/server.h"
#include "reactor/reactor.h"

namespace postern::control {

// What the main thread says of a reload.
struct Reloaded {
  bool done = false;               // false: the old configuration stays in force
  std::vector<std::string> lines;  // as in the log
};

// What the gate lends; all of it outlives the control thread.
struct Means {
  std::vector<reactor::Reactor*> reactors;
  reactor::Shared* shared = nullptr;
  LogSink* log = nullptr;
  const Board* board = nullptr;
  std::shared_ptr<Errands> main;  // the main thread's
  // On the main thread.
  std::function<Reloaded()> reload;
  std::function<CertificateFigures()> certificates;
};

class Commands {
 public:
  // `control` are the control thread's errands.
  Commands(Means means, std::shared_ptr<Errands> control);

  void handle(const auth::Form& request, Answer answer);

 private:
  struct Gathering;
  struct Listing;
  struct Tracing;
  // False: this one is not meant after all.
  using Act = std::function<bool(session::Session&, Instant)>;
  using Seen =
      std::function<void(const std::vector<reactor::Figures>& figures, const CertificateFigures& certificates)>;

  void status(const auth::Form& request, Answer answer);
  void sessions(const auth::Form& request, Answer answer);
  void session(const auth::Form& request, Answer answer);
  void kick(const auth::Form& request, Answer answer);
  void reload(const auth::Form& request, Answer answer);
  void log_level(const auth::Form& request, Answer answer);
  void metrics(const auth::Form& request, Answer answer);
  void trace(const auth::Form& request, Answer answer);  // trace.cc
  // backs.cc
  void backends(const auth::Form& request, Answer answer);
  void cache(const auth::Form& request, Answer answer);
  void move(const auth::Form& request, Answer answer);
  std::vector<MemberFigures> members() const;

  // Asks all reactors, and the main thread, for their figures.
  void gather(Seen seen);
  void list(Filter filter, Answer answer, std::string_view counted, Act act);

  Means means_;
  std::shared_ptr<Errands> control_;
  std::vector<std::weak_ptr<Tracing>> traces_;
  uint64_t next_trace_ = 1;
  const Instant began_;
  const int64_t started_;  // the same, in seconds since 1970
};

}  // namespace postern::control
