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

namespace postern::control {

class LogSink {
 public:
  enum class Target : uint8_t { Stderr, Syslog };

  // Lines that wait to be written; beyond it new ones are dropped and counted, and the count is logged.
  static constexpr size_t queue_max = 20000;

  LogSink() = default;
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  // Starts the writer. Lines before it wait.
  void start(Target target);
  // Lines less grave than `level` are not taken. Any thread, any time.
  void set_level(Severity level);
  Severity level() const;
  // Any thread; never blocks on the target.
  void write(const LogLine& line);
  // Writes all that waits and ends the writer.
  void stop();

 private:
  void run();
  void put(Severity severity, const std::string& text);

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<LogLine> queue_;
  uint64_t dropped_ = 0;
  bool stopping_ = false;
  Severity level_ = Severity::Info;
  Target target_ = Target::Stderr;
  bool to_journal_ = false;
  std::thread writer_;
};

}  // namespace postern::control
