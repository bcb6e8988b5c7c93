// SPDX-License-Identifier: GPL-3.0-or-later
// Gate: the running process. Owns what the reactors share, starts them, and carries out what the administrator's
// signals ask for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "auth/cache.h"
#include "config/config.h"
#include "control/log_sink.h"
#include "daemon/listening.h"
#include "health/checker.h"
#include "reactor/reactor.h"
#include "tls/tickets.h"

namespace postern::daemon {

class Gate {
 public:
  explicit Gate(config::Config config);
  ~Gate();

  // The steps to a serving gate, in order; the first that fails says why.
  absl::Status start();
  // Serves until SIGTERM or SIGINT and the drain that follows.
  void run();

 private:
  absl::Status raise_descriptor_limit();
  absl::Status drop_privileges();
  absl::Status start_reactors();
  void reload();
  void drain();
  bool is_done() const;
  void log(LogLine line);

  config::Config config_;
  tls::TicketKeys tickets_;  // outlives all setups
  control::LogSink log_;
  std::unique_ptr<auth::Cache> cache_;
  std::unique_ptr<Listening> listening_;
  std::shared_ptr<const session::Setup> setup_;
  std::unique_ptr<reactor::Shared> shared_;
  std::vector<std::unique_ptr<reactor::Reactor>> reactors_;
  std::unique_ptr<health::Checker> checker_;  // uses the reactors
  uint32_t sessions_each_ = 0;
  bool draining_ = false;
};

}  // namespace postern::daemon
