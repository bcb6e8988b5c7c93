// SPDX-License-Identifier: GPL-3.0-or-later
// Crowd: all simulated mail programs of a run in one epoll loop. It tells what happened; the modes decide what next.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "perf/swarm/latencies.h"
#include "perf/swarm/mail_program.h"
#include "perf/swarm/options.h"
#include "perf/swarm/report.h"
#include "perf/wire/machine.h"
#include "perf/wire/tls.h"

namespace postern::swarm {

struct Happening {
  uint32_t index = 0;  // of the program
  Step step = Step::Nothing;
  wire::Instant at;
};

class Crowd {
 public:
  // `size` programs, all closed. `options` must outlive the crowd.
  static absl::StatusOr<std::unique_ptr<Crowd>> make(const Options& options, uint32_t size);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(programs_.size()); }
  const MailProgram& program(uint32_t index) const { return programs_[index]; }
  const World& world() const { return world_; }

  // These begin something; how it went comes with wait(). Failures are counted here and close the program.
  void open(uint32_t index, uint32_t user);
  void ask(uint32_t index, const Request& request);
  void log_out(uint32_t index);
  void close(uint32_t index);
  void close_all();

  // Sleeps until something happened or `until` has come, whichever is first. Valid until the next call.
  const std::vector<Happening>& wait(wire::Instant until);
  // A signal asked for the end, the time for everything is up or there were too many faults: begin nothing new.
  bool is_over() const;
  bool is_out_of_time() const { return wire::Clock::now() >= end_; }
  // With --step: says `word` on standard error and goes on with the sessions until a line, or the end, of standard
  // input.
  void pause(const char* word);
  // Goes on with the sessions until then, or until a signal.
  void rest_until(wire::Instant then);

  uint64_t faults() const;
  uint32_t resting() const;
  // Fault by fault, those that occurred.
  Report fault_report() const;

 private:
  Crowd(const Options& options, uint32_t size);

  bool must_end() const { return signalled_ || is_out_of_time(); }
  void happened(uint32_t index, Step step, wire::Instant at);
  void watch(uint32_t index);
  void give_up_late(wire::Instant now);
  void read_input();

  const Options& options_;
  World world_;
  wire::Context tls_;
  int epoll_ = -1;
  int signals_ = -1;
  bool signalled_ = false;
  bool input_came_ = false;
  wire::Instant end_;
  wire::Instant next_late_check_;
  uint32_t serial_ = 0;
  std::vector<MailProgram> programs_;  // never grows: OpenSSL keeps pointers to them
  std::vector<uint32_t> watched_;      // epoll events asked for, by program
  std::vector<Happening> ahead_;       // happened at once, to be told at the next wait
  std::vector<Happening> told_;
  std::array<uint64_t, fault_count> faults_{};
};

}  // namespace postern::swarm
