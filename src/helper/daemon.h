// SPDX-License-Identifier: GPL-3.0-or-later
// Daemon: postern-auth as it runs. One thread serves the socket, a bounded number of workers look users up, and the
// main thread waits for signals and tells the gates whose entries have changed.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "helper/guessing/guessing.h"
#include "helper/options.h"
#include "helper/verifier.h"
#include "helper/workers.h"

namespace postern::helper {

class Daemon {
 public:
  // `file` is read again at SIGHUP.
  Daemon(Options options, std::string file);

  // Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 for this thread and all that it makes, serves, and returns after SIGTERM or
  // SIGINT when all that was asked has been answered. A Status: it could not begin.
  absl::Status run();

 private:
  absl::Status listen();
  absl::Status serve();
  void wait_for_signals();
  void on_question(postern_question* question);
  int on_connection(const postern_peer& peer);
  void work(const Workers::Job& job);
  void answer(postern_question* question, const Decision& decision);
  void log_decision(const postern_question& question, const Decision& decision);
  // Settings of the socket and the workers wait for a restart; all others count from now on.
  void reload();
  void report();
  void tell_changes(const Changes& changes);
  std::shared_ptr<Verifier> verifier();
  std::shared_ptr<Guessing> guessing();

  const std::string file_;
  Options options_;
  int listener_ = -1;
  postern_helper* helper_ = nullptr;
  std::unique_ptr<Workers> workers_;
  std::atomic<bool> newcomer_ = false;  // a gate has connected, and may have missed changes
  std::atomic<bool> serving_failed_ = false;

  // What a question is answered with. A worker keeps the one it began with; a reload makes a new one.
  std::mutex lock_;
  std::shared_ptr<Verifier> verifier_;
  std::shared_ptr<Guessing> guessing_;
  Duration reject_delay_;
  Duration question_timeout_;
};

}  // namespace postern::helper
