// SPDX-License-Identifier: GPL-3.0-or-later
// Gate: the running process. Owns what the reactors share, starts them, and carries out what the administrator's
// signals ask for.
#pragma once

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "auth/cache.h"
#include "base/clock.h"
#include "certificates/store.h"
#include "config/config.h"
#include "control/board.h"
#include "control/commands.h"
#include "control/errands.h"
#include "control/log_sink.h"
#include "control/server.h"
#include "daemon/listening.h"
#include "daemon/memory_watch.h"
#include "daemon/succession.h"
#include "health/checker.h"
#include "reactor/reactor.h"
#include "tls/tickets.h"

namespace postern::daemon {

class Gate {
 public:
  // `command`: what this process was started with, for the one that shall take its place; the program's file first.
  Gate(config::Config config, std::vector<std::string> command);
  ~Gate();

  // The steps to a serving gate, in order; the first that fails says why.
  absl::Status start();
  // The same in the place of a running gate, whose doors are taken over.
  absl::Status start(Predecessor predecessor);
  // Serves until SIGTERM or SIGINT and the drain that follows. The signals must be blocked in all threads.
  void run();
  // Those that the administrator sends to a gate.
  static sigset_t signals();

 private:
  absl::Status raise_descriptor_limit();
  absl::Status drop_privileges();
  void open_control_door();
  void start_control();
  absl::Status start_reactors();
  // False: the old configuration stays in force, and the log says why.
  bool reload();
  void drain();
  void upgrade();
  void look_at_successor(Instant now);
  void hand_over();
  bool is_done() const;
  void report();
  void log(LogLine line);
  void log(const std::vector<certificates::Note>& notes);

  // For posternctl.
  control::Reloaded reload_heard();
  control::CertificateFigures certificate_figures() const;

  std::optional<uint32_t> next_signal(int signal_fd, Duration wait);
  void on_signal(uint32_t number);
  // What is to be done from time to time: ticket keys, renewed certificates, those that run out.
  Duration until_duty(Instant now) const;
  void do_duties(Instant now);
  void plan_look(Instant now);
  void look_at_certificates();
  void look_at_memory();
  // All sessions from now on begin with this setup.
  void publish(std::shared_ptr<const session::Setup> setup);

  config::Config config_;
  const std::vector<std::string> command_;
  std::optional<Predecessor> predecessor_;  // until this process serves
  std::unique_ptr<Successor> successor_;    // from the wish for one to the end
  Instant successor_until_ = instant_never;
  tls::TicketKeys tickets_;  // outlives all setups
  control::LogSink log_;
  std::unique_ptr<auth::Cache> cache_;
  std::unique_ptr<Listening> listening_;
  std::shared_ptr<const session::Setup> setup_;
  std::unique_ptr<reactor::Shared> shared_;
  std::vector<std::unique_ptr<reactor::Reactor>> reactors_;
  std::unique_ptr<health::Checker> checker_;  // uses the reactors
  std::unique_ptr<certificates::Store> certificates_;
  Instant rotate_at_ = instant_never;
  Instant look_at_ = instant_never;
  Instant expiries_at_ = instant_never;
  std::shared_ptr<control::Errands> errands_ = std::make_shared<control::Errands>();
  control::Board board_;
  control::Door door_;
  std::unique_ptr<control::Server> server_;
  std::unique_ptr<control::Commands> commands_;
  std::vector<std::string>* heard_ = nullptr;  // while somebody wants to know what is logged
  MemoryWatch memory_;
  Instant memory_at_ = instant_never;
  uint32_t sessions_each_ = 0;
  bool draining_ = false;
};

}  // namespace postern::daemon
