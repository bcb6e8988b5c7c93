// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/log_sink.h"

#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <string_view>
#include <utility>

namespace postern::control {
namespace {

int priority(Severity severity) {
  switch (severity) {
    case Severity::Error: return LOG_ERR;
    case Severity::Warning: return LOG_WARNING;
    case Severity::Notice: return LOG_NOTICE;
    case Severity::Info: return LOG_INFO;
    case Severity::Debug: return LOG_DEBUG;
  }
  return LOG_INFO;
}

// "2026-01-31T12:00:00.123Z "
std::string timestamp() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts;
  gmtime_r(&now.tv_sec, &parts);
  char text[40];
  const size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string thousandths = std::to_string(1000 + now.tv_nsec / 1'000'000);
  return std::string(text, size) + "." + thousandths.substr(1) + "Z ";
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

void LogSink::start(Target target) {
  target_ = target;
  // systemd says so when stderr is the journal's; it then reads the priority from a prefix and has its own clock.
  to_journal_ = getenv("JOURNAL_STREAM") != nullptr;
  if (target_ == Target::Syslog) openlog("postern", LOG_PID, LOG_MAIL);
  writer_ = std::thread([this] { run(); });
}

void LogSink::set_level(Severity level) {
  const std::lock_guard lock(mutex_);
  level_ = level;
}

Severity LogSink::level() const {
  const std::lock_guard lock(mutex_);
  return level_;
}

void LogSink::write(const LogLine& line) {
  {
    const std::lock_guard lock(mutex_);
    if (line.severity() > level_) return;
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
    filled_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    std::deque<LogLine> lines = std::exchange(queue_, {});
    const uint64_t dropped = std::exchange(dropped_, 0);
    const bool last = stopping_;
    lock.unlock();
    for (const LogLine& line : lines)
      put(line.severity(), line.text());
    if (dropped != 0) {
      put(Severity::Warning, LogLine(Severity::Warning, "log").add("dropped", dropped).text());
    }
    if (last) return;
    lock.lock();
  }
}

void LogSink::put(Severity severity, const std::string& text) {
  if (target_ == Target::Syslog) return syslog(priority(severity), "%s", text.c_str());
  std::string line = to_journal_ ? "<" + std::to_string(priority(severity)) + ">" : timestamp();
  if (!to_journal_) {
    line += severity_word(severity);
    line += ' ';
  }
  line += text;
  line += '\n';
  write_all(line);
}

}  // namespace postern::control
