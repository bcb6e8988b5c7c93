// SPDX-License-Identifier: GPL-3.0-or-later
// Checker: one thread for the process that asks the mail servers again and again how they are and what they can do, and
// looks up their names. Reactors get what it finds as an immutable PoolViews and never wait for it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/log_line.h"
#include "health/probe.h"
#include "health/resolver.h"
#include "session/pool_view.h"
#include "session/setup.h"

namespace postern::health {

class Checker {
 public:
  using Publish = std::function<void(std::shared_ptr<const session::PoolViews>)>;
  using Log = std::function<void(const LogLine&)>;

  // Probes under way at the same time: a site with thousands of members is asked in turns.
  static constexpr size_t probes_max = 64;

  // Both are called on the checker's thread and must not block.
  Checker(Publish publish, Log log);
  ~Checker();
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // Begins, or goes on with another configuration; any thread.
  void watch(std::shared_ptr<const session::Setup> setup);

 private:
  // What is remembered of a mail server in a pool.
  struct Member {
    bool known = false;  // a check has ended
    bool down = false;
    Instant up_since = Instant::min();
    std::string capabilities;
  };
  struct PoolState {
    Instant next_check{};
    bool resolving = false;
    size_t probing = 0;  // members whose finding is awaited
    std::string learned;
    absl::flat_hash_map<Endpoint, Member> members;
  };
  struct Running {
    std::string pool;
    Endpoint member;
    std::unique_ptr<Probe> probe;
  };
  struct Due {
    std::string pool;
    Endpoint member;
  };

  void run();
  void take_setup();
  void begin_checks(Instant now);
  void begin_check(const session::Pool& pool, PoolState& state);
  void launch_probes(Instant now);
  void wait(Instant now);
  void end_probes(Instant now);
  void note(const Running& running, PoolState& state, Instant now);
  void end_round(const std::string& name);
  session::PoolView view_of(const session::Pool& pool, const PoolState& state) const;
  std::vector<std::pair<Endpoint, uint32_t>> endpoints_of(const session::PoolOptions& pool) const;
  void publish();

  const Publish publish_;
  const Log log_;
  std::mutex mutex_;
  std::shared_ptr<const session::Setup> posted_;
  std::atomic<bool> stopping_{false};
  int wake_fd_ = -1;
  std::thread thread_;

  // The thread's own.
  std::shared_ptr<const session::Setup> setup_;
  absl::flat_hash_map<std::string, PoolState> states_;
  std::vector<Due> due_;
  std::vector<Running> running_;
  Resolver resolver_;
};

}  // namespace postern::health
