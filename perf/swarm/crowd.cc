// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/crowd.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace postern::swarm {
namespace {

// What epoll tells beside the programs' numbers.
constexpr uint64_t signal_mark = UINT64_MAX;

constexpr std::chrono::milliseconds late_check_interval{500};

int keep_ticket(SSL* tls, SSL_SESSION* session) {
  static_cast<MailProgram*>(SSL_get_app_data(tls))->keep_ticket(session);
  return 1;  // ours now
}

}  // namespace

Crowd::Crowd(const Options& options, uint32_t size)
    : options_(options), end_(wire::Clock::now() + options.time_max), watched_(size) {
  programs_.reserve(size);
  for (uint32_t i = 0; i < size; ++i)
    programs_.emplace_back(world_);
}

absl::StatusOr<std::unique_ptr<Crowd>> Crowd::make(const Options& options, uint32_t size) {
  std::unique_ptr<Crowd> crowd(new Crowd(options, size));
  crowd->world_.options = &options;
  if (!options.plain) {
    auto context = wire::front_context(options.tls);
    if (!context.ok()) return context.status();
    crowd->tls_ = *std::move(context);
    if (options.resume) {
      SSL_CTX_set_session_cache_mode(crowd->tls_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(crowd->tls_.get(), keep_ticket);
    }
    crowd->world_.tls = crowd->tls_.get();
  }
  auto signals = wire::catch_signals();
  if (!signals.ok()) return signals.status();
  crowd->signals_ = *signals;
  crowd->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = signal_mark;
  if (::epoll_ctl(crowd->epoll_, EPOLL_CTL_ADD, crowd->signals_, &event) != 0) return absl::InternalError("no epoll");
  return crowd;
}

Crowd::~Crowd() {
  close_all();
  if (signals_ >= 0) ::close(signals_);
  if (epoll_ >= 0) ::close(epoll_);
}

void Crowd::happened(uint32_t index, Step step, wire::Instant at) {
  if (step == Step::Nothing) return;
  if (step == Step::Failed) ++faults_[static_cast<size_t>(programs_[index].fault())];
  ahead_.push_back({index, step, at});
}

void Crowd::watch(uint32_t index) {
  MailProgram& program = programs_[index];
  if (program.state() == MailProgram::State::Closed) {
    watched_[index] = 0;  // the kernel forgets a closed socket by itself
    return;
  }
  const uint32_t events = program.waits_to_write() ? EPOLLOUT : EPOLLIN;
  if (events == watched_[index]) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = index;
  ::epoll_ctl(epoll_, watched_[index] == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, program.socket(), &event);
  watched_[index] = events;
}

void Crowd::open(uint32_t index, uint32_t user) {
  const wire::Instant now = wire::Clock::now();
  if (programs_[index].open(serial_++, user, now) != Fault::None) happened(index, Step::Failed, now);
  watched_[index] = 0;
  watch(index);
}

void Crowd::ask(uint32_t index, const Request& request) {
  programs_[index].ask(request, wire::Clock::now());
  watch(index);
}

void Crowd::log_out(uint32_t index) {
  programs_[index].log_out(wire::Clock::now());
  watch(index);
}

void Crowd::close(uint32_t index) {
  programs_[index].close();
  watched_[index] = 0;
}

void Crowd::close_all() {
  for (uint32_t i = 0; i < size(); ++i)
    close(i);
}

const std::vector<Happening>& Crowd::wait(wire::Instant until) {
  std::array<epoll_event, 256> events;
  while (true) {
    const wire::Instant now = wire::Clock::now();
    if (now >= next_late_check_) give_up_late(now);
    const wire::Instant then = ahead_.empty() ? std::min({until, next_late_check_, end_}) : now;
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(std::max(then, now) - now).count();
    timespec timeout{};
    timeout.tv_sec = left / 1'000'000'000;
    timeout.tv_nsec = left % 1'000'000'000;
    const int count = ::epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const uint64_t mark = events[static_cast<size_t>(i)].data.u64;
      if (mark == signal_mark) {
        signalfd_siginfo signal{};
        signalled_ |= ::read(signals_, &signal, sizeof signal) > 0;
        continue;
      }
      const auto index = static_cast<uint32_t>(mark);
      const wire::Instant at = wire::Clock::now();
      const Step step = programs_[index].go_on(at);
      // A long answer takes time to read; it is complete now.
      happened(index, step, step == Step::Answered ? wire::Clock::now() : at);
      watch(index);
    }
    if (!ahead_.empty() || signalled_ || wire::Clock::now() >= std::min(until, end_)) break;
  }
  told_.clear();
  told_.swap(ahead_);
  return told_;
}

void Crowd::give_up_late(wire::Instant now) {
  next_late_check_ = now + late_check_interval;
  for (uint32_t i = 0; i < size(); ++i) {
    if (!programs_[i].waits() || programs_[i].deadline() > now) continue;
    happened(i, programs_[i].go_on(now), now);
    watch(i);
  }
}

bool Crowd::is_over() const {
  return must_end() || faults() >= options_.faults_max;
}

void Crowd::read_input() {
  pollfd input{};
  input.fd = STDIN_FILENO;
  input.events = POLLIN;
  if (::poll(&input, 1, 0) <= 0) return;
  char c = 0;
  // Byte by byte: what stands behind the line is for the next pause.
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, &c, 1);
    if (size > 0 && c != '\n') continue;
    input_came_ = true;
    return;
  }
}

void Crowd::pause(const char* word) {
  if (!options_.step) return;
  std::fprintf(stderr, "%s\n", word);
  input_came_ = false;
  while (!input_came_ && !must_end()) {
    wait(wire::Clock::now() + std::chrono::milliseconds(20));
    read_input();
  }
}

void Crowd::rest_until(wire::Instant then) {
  while (wire::Clock::now() < then && !must_end())
    wait(then);
}

uint64_t Crowd::faults() const {
  uint64_t sum = 0;
  for (const uint64_t count : faults_)
    sum += count;
  return sum;
}

uint32_t Crowd::resting() const {
  return static_cast<uint32_t>(std::count_if(programs_.begin(), programs_.end(), [](const MailProgram& program) {
    return program.state() == MailProgram::State::Resting;
  }));
}

Report Crowd::fault_report() const {
  Report report;
  for (size_t i = 1; i < fault_count; ++i) {
    if (faults_[i] > 0) report.add(fault_word(static_cast<Fault>(i)), faults_[i]);
  }
  return report;
}

}  // namespace postern::swarm
