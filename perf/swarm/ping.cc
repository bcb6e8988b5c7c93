// SPDX-License-Identifier: GPL-3.0-or-later
#include <deque>
#include <vector>

#include "perf/swarm/modes.h"
#include "perf/swarm/pace.h"

namespace postern::swarm {

absl::StatusOr<Outcome> ping(const Options& options) {
  auto made = Crowd::make(options, options.sessions);
  if (!made.ok()) return made.status();
  Crowd& crowd = **made;
  establish(crowd, options);
  const uint32_t established = crowd.resting();
  crowd.pause("ready");

  // First come, first asked: each session gets its turn.
  std::deque<uint32_t> free;
  for (uint32_t i = 0; i < crowd.size(); ++i) {
    if (crowd.program(i).state() == MailProgram::State::Resting) free.push_back(i);
  }
  std::vector<wire::Instant> due(crowd.size());
  Latencies latencies;
  uint32_t under_way = 0;
  const wire::Instant start = wire::Clock::now();
  Pace pace(options.count, options.rate, start);
  while (under_way > 0 || (!free.empty() && !pace.is_all_begun() && !crowd.is_over())) {
    const wire::Instant now = wire::Clock::now();
    while (!free.empty() && !pace.is_all_begun() && pace.next_due(now) <= now && !crowd.is_over()) {
      const uint32_t index = free.front();
      free.pop_front();
      if (crowd.program(index).state() != MailProgram::State::Resting) continue;  // lost while it was free
      due[index] = options.rate > 0 ? pace.next_due(now) : wire::Clock::now();
      crowd.ask(index, {Request::Kind::Noop});
      pace.begin();
      ++under_way;
    }
    const wire::Instant until = free.empty() ? wire::Instant::max() : pace.next_due(now);
    for (const Happening& happening : crowd.wait(until)) {
      if (due[happening.index] == wire::Instant{}) continue;  // lost while it was free
      --under_way;
      if (happening.step == Step::Answered) {
        latencies.record(happening.at - due[happening.index]);
        free.push_back(happening.index);
      }
      due[happening.index] = {};
    }
    if (crowd.is_out_of_time()) break;
  }
  const double seconds = seconds_between(start, wire::Clock::now());
  crowd.pause("done");

  Outcome outcome;
  Report& report = outcome.report;
  report.add("mode", "ping").add("sessions", established).add("asked_for", options.count);
  report.add("answers", latencies.count()).add("seconds", seconds);
  report.add("per_second", seconds > 0 ? static_cast<double>(latencies.count()) / seconds : 0);
  report.add("latency_ms", latencies);
  add_common(report, crowd);
  outcome.complete = latencies.count() == options.count && crowd.faults() == 0;
  return outcome;
}

}  // namespace postern::swarm
