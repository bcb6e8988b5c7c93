// SPDX-License-Identifier: GPL-3.0-or-later
// LogSink: where log lines leave the process. Reactors only put them into a queue; a thread of its own writes, since
// stderr may be a pipe that nobody reads in time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "base/log_line.h"
#include "control/flood.h"
#include "control/options.h"

namespace postern::control {

class LogSink {
 public:
  // Lines that wait to be written; beyond it new ones are dropped and counted, and the count is logged.
  static constexpr size_t queue_max = 20000;

  LogSink() = default;
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  // Level, format and repeats hold from now on, the target from start() on. Any thread, any time.
  void set(const LogOptions& options);
  // Starts the writer. Lines before it wait.
  void start();
  // Lines less grave than `level` are not taken. Any thread, any time.
  void set_level(Severity level);
  Severity level() const;
  // Any thread; never blocks on the target.
  void write(const LogLine& line);
  // Writes all that waits and ends the writer.
  void stop();

 private:
  void run();
  void put(const LogLine& line, LogFormat format);

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<LogLine> queue_;
  Flood flood_;
  uint64_t dropped_ = 0;
  bool stopping_ = false;
  LogOptions options_;
  LogTarget target_ = LogTarget::Stderr;
  bool to_systemd_ = false;
  std::thread writer_;
};

}  // namespace postern::control
