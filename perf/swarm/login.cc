// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "perf/swarm/modes.h"
#include "perf/swarm/pace.h"

namespace postern::swarm {
namespace {

struct Logins {
  Latencies latencies;
  uint64_t logged_in = 0;
  wire::Instant start;
  wire::Instant end;
};

// `pace` says how many and when. A program that is done, one way or the other, is free for the next login.
Logins play(Crowd& crowd, const Options& options, Pace pace) {
  Logins logins;
  logins.start = wire::Clock::now();
  std::vector<uint32_t> free;
  for (uint32_t i = crowd.size(); i-- > 0;)
    free.push_back(i);
  std::vector<wire::Instant> due(crowd.size());
  while ((!pace.is_all_begun() && !crowd.is_over()) || free.size() < crowd.size()) {
    const wire::Instant now = wire::Clock::now();
    while (!free.empty() && !pace.is_all_begun() && pace.next_due(now) <= now && !crowd.is_over()) {
      const uint32_t index = free.back();
      free.pop_back();
      due[index] = options.rate > 0 ? pace.next_due(now) : wire::Clock::now();
      crowd.open(index, static_cast<uint32_t>(pace.begun() % options.users));
      pace.begin();
    }
    const wire::Instant until = free.empty() ? wire::Instant::max() : pace.next_due(now);
    for (const Happening& happening : crowd.wait(until)) {
      if (happening.step == Step::LoggedIn) {
        logins.latencies.record(happening.at - due[happening.index]);
        ++logins.logged_in;
        crowd.log_out(happening.index);
        continue;
      }
      if (happening.step == Step::LoggedOut) crowd.close(happening.index);
      free.push_back(happening.index);
    }
    if (crowd.is_out_of_time()) break;
  }
  logins.end = wire::Clock::now();
  return logins;
}

}  // namespace

absl::StatusOr<Outcome> login(const Options& options) {
  auto made = Crowd::make(options, static_cast<uint32_t>(std::min<uint64_t>(options.concurrency, options.count)));
  if (!made.ok()) return made.status();
  Crowd& crowd = **made;
  // To resume, every program must have been here before.
  if (options.resume) play(crowd, options, Pace(crowd.size(), 0, wire::Clock::now()));
  const uint64_t resumed_before = crowd.world().resumed;
  const uint64_t handshakes_before = crowd.world().handshakes;
  crowd.pause("ready");
  const Logins logins = play(crowd, options, Pace(options.count, options.rate, wire::Clock::now()));
  crowd.pause("done");

  Outcome outcome;
  Report& report = outcome.report;
  const double seconds = seconds_between(logins.start, logins.end);
  report.add("mode", "login").add("asked_for", options.count).add("logins", logins.logged_in).add("seconds", seconds);
  report.add("per_second", seconds > 0 ? static_cast<double>(logins.logged_in) / seconds : 0);
  report.add("measured_handshakes", crowd.world().handshakes - handshakes_before);
  report.add("measured_resumed", crowd.world().resumed - resumed_before);
  report.add("latency_ms", logins.latencies);
  add_common(report, crowd);
  outcome.complete = logins.logged_in == options.count && crowd.faults() == 0;
  return outcome;
}

}  // namespace postern::swarm
