// SPDX-License-Identifier: GPL-3.0-or-later
// postern-swarm: thousands of simulated mail programs.
#include <cstdio>
#include <string>

#include "perf/swarm/modes.h"

namespace postern::swarm {
namespace {

absl::StatusOr<Outcome> play(const Options& options) {
  if (options.core >= 0) {
    if (absl::Status pinned = wire::pin_to_core(options.core); !pinned.ok()) return pinned;
  }
  wire::raise_descriptor_limit();
  switch (options.mode) {
    case Mode::Hold: return hold(options);
    case Mode::Login: return login(options);
    case Mode::Ping: return ping(options);
    case Mode::Fetch: return fetch(options);
  }
  return absl::InternalError("no such mode");
}

}  // namespace
}  // namespace postern::swarm

int main(int count, char** words) {
  postern::swarm::Options options;
  switch (postern::swarm::read_options(count, words, options)) {
    case postern::swarm::Reading::Helped: return 0;
    case postern::swarm::Reading::Wrong: return 2;
    case postern::swarm::Reading::Run: break;
  }
  const auto outcome = postern::swarm::play(options);
  if (!outcome.ok()) {
    std::fprintf(stderr, "postern-swarm: %s\n", std::string(outcome.status().message()).c_str());
    return 2;
  }
  std::printf("%s\n", outcome->report.text().c_str());
  return outcome->complete ? 0 : 1;
}
