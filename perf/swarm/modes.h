// SPDX-License-Identifier: GPL-3.0-or-later
// The four things a swarm can do. Each plays until it is through, its time is up or a signal came, and returns what
// happened as pairs for the report.
#pragma once

#include "absl/status/statusor.h"
#include "perf/swarm/crowd.h"
#include "perf/swarm/options.h"
#include "perf/swarm/report.h"

namespace postern::swarm {

struct Outcome {
  Report report;
  bool complete = false;  // everything that was asked for was done and nothing was lost
};

absl::StatusOr<Outcome> hold(const Options& options);
absl::StatusOr<Outcome> login(const Options& options);
absl::StatusOr<Outcome> ping(const Options& options);
absl::StatusOr<Outcome> fetch(const Options& options);

// Logs all programs of the crowd in, `concurrency` at a time, has them do their exercise and leaves them at rest. A
// program that fails stays closed. Returns the latencies of the logins.
Latencies establish(Crowd& crowd, const Options& options);

// What every report says: where, TLS, faults.
void add_common(Report& report, const Crowd& crowd);

double seconds_between(wire::Instant from, wire::Instant to);

}  // namespace postern::swarm
