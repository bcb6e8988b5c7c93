// SPDX-License-Identifier: GPL-3.0-or-later
#include <vector>

#include "perf/swarm/modes.h"

namespace postern::swarm {
namespace {

// What each session asks after its login, in turn.
std::vector<Request> exercise_of(const Options& options) {
  std::vector<Request> requests;
  if (options.exercise > 0) {
    requests.push_back({Request::Kind::Noop});
    if (can_fetch(options.protocol)) requests.push_back({Request::Kind::Fetch, options.exercise});
  }
  if (options.mode == Mode::Hold && options.idle) requests.push_back({Request::Kind::Idle});
  return requests;
}

}  // namespace

Latencies establish(Crowd& crowd, const Options& options) {
  const std::vector<Request> exercise = exercise_of(options);
  std::vector<uint8_t> asked(crowd.size());
  std::vector<wire::Instant> opened_at(crowd.size());
  Latencies latencies;
  uint32_t opened = 0;
  uint32_t under_way = 0;
  while ((opened < crowd.size() && !crowd.is_over()) || under_way > 0) {
    while (opened < crowd.size() && under_way < options.concurrency && !crowd.is_over()) {
      opened_at[opened] = wire::Clock::now();
      crowd.open(opened, opened);
      ++opened;
      ++under_way;
    }
    for (const Happening& happening : crowd.wait(wire::Instant::max())) {
      const uint32_t index = happening.index;
      if (happening.step == Step::LoggedIn) latencies.record(happening.at - opened_at[index]);
      const bool goes_on = happening.step == Step::LoggedIn || happening.step == Step::Answered;
      if (goes_on && asked[index] < exercise.size()) {
        crowd.ask(index, exercise[asked[index]++]);
      } else if (asked[index] <= exercise.size()) {
        // At rest or failed; if it fails later it must not be counted twice.
        asked[index] = static_cast<uint8_t>(exercise.size() + 1);
        --under_way;
      }
    }
    if (crowd.is_out_of_time()) break;
  }
  return latencies;
}

void add_common(Report& report, const Crowd& crowd) {
  const World& world = crowd.world();
  report.add("front", world.options->front.text());
  report.add("protocol", wire::protocol_word(world.options->protocol));
  if (world.handshakes > 0) {
    Report tls;
    tls.add("version", world.tls_version).add("cipher", world.tls_cipher);
    tls.add("handshakes", world.handshakes).add("resumed", world.resumed);
    report.add("tls", tls);
  }
  report.add("faults", crowd.fault_report());
}

double seconds_between(wire::Instant from, wire::Instant to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace postern::swarm
