// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/log_sink.h"

#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "control/journal.h"
#include "control/log_format.h"

namespace postern::control {
namespace {

// How late a summary of lines that were held back may come.
constexpr Duration summary_delay = std::chrono::seconds(1);

Instant clock_now() {
  return std::chrono::steady_clock::now();
}

timespec wall_clock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

void write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

LogSink::~LogSink() {
  stop();
}

void LogSink::set(const LogOptions& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
  flood_.set_lines_max(options.repeats_max);
}

void LogSink::start() {
  target_ = options_.target;
  // systemd says so when stderr is the journal's; it then reads the priority from a prefix and has its own clock.
  to_systemd_ = getenv("JOURNAL_STREAM") != nullptr;
  if (target_ == LogTarget::Syslog) openlog("postern", LOG_PID, LOG_MAIL);
  writer_ = std::thread([this] { run(); });
}

Severity LogSink::level() const {
  const std::lock_guard lock(mutex_);
  return options_.level;
}

void LogSink::set_level(Severity level) {
  const std::lock_guard lock(mutex_);
  options_.level = level;
}

void LogSink::write(const LogLine& line) {
  {
    const std::lock_guard lock(mutex_);
    if (line.severity() > options_.level) return;
    if (!flood_.admits(line, clock_now())) return;
    if (queue_.size() >= queue_max) {
      dropped_++;
      return;
    }
    queue_.push_back(line);
  }
  filled_.notify_one();
}

void LogSink::stop() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  writer_.join();
}

void LogSink::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto has_news = [this] { return stopping_ || !queue_.empty(); };
    if (flood_.has_held_back()) {
      filled_.wait_for(lock, summary_delay, has_news);
    } else {
      filled_.wait(lock, has_news);
    }
    std::deque<LogLine> lines = std::exchange(queue_, {});
    for (LogLine& summary : flood_.take_summaries(stopping_ ? instant_never : clock_now()))
      lines.push_back(std::move(summary));
    if (dropped_ != 0) {
      lines.push_back(LogLine(Severity::Warning, "log").add("dropped", std::exchange(dropped_, 0)));
    }
    const LogFormat format = options_.format;
    const bool last = stopping_;
    lock.unlock();
    for (const LogLine& line : lines)
      put(line, format);
    if (last) return;
    lock.lock();
  }
}

void LogSink::put(const LogLine& line, LogFormat format) {
  const bool json = format == LogFormat::Json;
  switch (target_) {
    case LogTarget::Journal: return send_to_journal(line);
    case LogTarget::Syslog:
      return syslog(priority(line.severity()), "%s",
                    json ? json_object(line, wall_clock()).c_str() : line.text().c_str());
    case LogTarget::Stderr: break;
  }
  if (json) return write_all(json_object(line, wall_clock()) + "\n");
  write_all(to_systemd_ ? systemd_line(line) : text_line(line, wall_clock()));
}

}  // namespace postern::control
