// SPDX-License-Identifier: GPL-3.0-or-later
#include <vector>

#include "perf/swarm/modes.h"

namespace postern::swarm {
namespace {

// Every session must still answer. A session that is dead without knowing it would otherwise count as held.
void ask_all(Crowd& crowd, const Options& options) {
  std::vector<bool> asked(crowd.size());
  uint32_t next = 0;
  uint32_t under_way = 0;
  while (next < crowd.size() || under_way > 0) {
    for (; next < crowd.size() && under_way < options.concurrency; ++next) {
      if (crowd.program(next).state() != MailProgram::State::Resting) continue;  // lost already
      crowd.ask(next, {options.idle ? Request::Kind::Done : Request::Kind::Noop});
      asked[next] = true;
      ++under_way;
    }
    if (under_way == 0) continue;
    for (const Happening& happening : crowd.wait(wire::Instant::max())) {
      if (asked[happening.index]) --under_way;
      asked[happening.index] = false;
    }
    if (crowd.is_out_of_time()) break;
  }
}

}  // namespace

absl::StatusOr<Outcome> hold(const Options& options) {
  auto made = Crowd::make(options, options.sessions);
  if (!made.ok()) return made.status();
  Crowd& crowd = **made;
  const wire::Instant start = wire::Clock::now();
  const Latencies latencies = establish(crowd, options);
  const wire::Instant stood = wire::Clock::now();
  const uint32_t established = crowd.resting();
  if (options.step) {
    crowd.pause("ready");
  } else {
    crowd.rest_until(stood + options.stay);
  }
  const wire::Instant rested = wire::Clock::now();
  if (options.check) ask_all(crowd, options);
  const uint32_t kept = crowd.resting();
  crowd.pause("done");

  Outcome outcome;
  Report& report = outcome.report;
  report.add("mode", "hold").add("asked_for", options.sessions).add("established", established);
  report.add("lost", established - kept).add("establish_seconds", seconds_between(start, stood));
  report.add("held_seconds", seconds_between(stood, rested)).add("login_ms", latencies);
  add_common(report, crowd);
  outcome.complete = established == options.sessions && kept == established;
  return outcome;
}

}  // namespace postern::swarm
