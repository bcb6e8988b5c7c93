// SPDX-License-Identifier: GPL-3.0-or-later
// SharedStore: the counters in a Valkey or Redis server, for all machines that ask the same one. The only file that knows
// hiredis.
//
//   postern:guess:network:203.0.113.7/32               sorted set: short digests of wrong passwords, by time
//   postern:guess:user:joe@example.test
//   postern:guess:user_at_network:203.0.113.7/32 joe@example.test
//   the same with ":block"                              there: blocked, as long as it lives
//   postern:guess:known:joe@example.test                sorted set: networks, by time
//
// All of them end by themselves. Deleting one by hand lifts a block. One script does each step at once, by the server's
// own clock.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log_line.h"
#include "helper/guessing/absence.h"
#include "helper/guessing/counts.h"
#include "helper/guessing/subject.h"
#include "helper/idle_pool.h"

namespace postern::helper {

using LogSink = std::function<void(const LogLine&)>;

// From any thread. What a call returns is nothing while the server is away: then the caller counts alone.
class SharedStore {
 public:
  // `options` and `log` must outlive it.
  SharedStore(const GuessingOptions& options, const LogSink& log);
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  // As Tally has them.
  std::optional<Counts> look(const Subject& subject, Instant now) { return run("look", subject, 0, now); }
  std::optional<Counts> count(const Subject& subject, uint64_t digest, Instant now) {
    return run("count", subject, digest, now);
  }
  void succeed(const Subject& subject, Instant now) { static_cast<void>(run("succeed", subject, 0, now)); }

 private:
  class Connection;
  using Words = std::vector<std::string>;

  std::optional<Counts> run(const char* step, const Subject& subject, uint64_t digest, Instant now);
  std::optional<Counts> ask(const Words& words, std::string& fault);

  const GuessingOptions& options_;
  const LogSink& log_;
  Absence absence_;
  IdlePool<std::unique_ptr<Connection>> idle_;
};

}  // namespace postern::helper
