// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/modes.h"

namespace postern::swarm {

absl::StatusOr<Outcome> fetch(const Options& options) {
  auto made = Crowd::make(options, options.sessions);
  if (!made.ok()) return made.status();
  Crowd& crowd = **made;
  establish(crowd, options);
  const uint32_t established = crowd.resting();
  crowd.pause("ready");

  const Request request{Request::Kind::Fetch, options.size};
  std::vector<wire::Instant> asked_at(crowd.size());
  Latencies latencies;
  uint32_t under_way = 0;
  const uint64_t bytes_before = crowd.world().mail_bytes;
  const wire::Instant start = wire::Clock::now();
  const auto ask = [&](uint32_t index) {
    asked_at[index] = wire::Clock::now();
    crowd.ask(index, request);
    ++under_way;
  };
  for (uint32_t i = 0; i < crowd.size(); ++i) {
    if (crowd.program(i).state() == MailProgram::State::Resting) ask(i);
  }
  while (under_way > 0) {
    for (const Happening& happening : crowd.wait(wire::Instant::max())) {
      if (asked_at[happening.index] == wire::Instant{}) continue;
      --under_way;
      if (happening.step == Step::Answered) latencies.record(happening.at - asked_at[happening.index]);
      asked_at[happening.index] = {};
      const bool more = crowd.world().mail_bytes - bytes_before < options.bytes && !crowd.is_over();
      if (happening.step == Step::Answered && more) ask(happening.index);
    }
    if (crowd.is_out_of_time()) break;
  }
  const double seconds = seconds_between(start, wire::Clock::now());
  const uint64_t bytes = crowd.world().mail_bytes - bytes_before;
  crowd.pause("done");

  Outcome outcome;
  Report& report = outcome.report;
  report.add("mode", "fetch").add("sessions", established).add("asked_for", options.bytes).add("bytes", bytes);
  report.add("fetches", latencies.count()).add("seconds", seconds);
  report.add("bytes_per_second", seconds > 0 ? static_cast<double>(bytes) / seconds : 0);
  report.add("latency_ms", latencies);
  add_common(report, crowd);
  outcome.complete = bytes >= options.bytes && crowd.faults() == 0;
  return outcome;
}

}  // namespace postern::swarm
