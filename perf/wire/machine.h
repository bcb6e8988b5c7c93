// SPDX-License-Identifier: GPL-3.0-or-later
// What both programs of perf/ ask of the machine: addresses, sockets, signals, a core.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/endpoint.h"

namespace postern::wire {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;

// Reads "127.0.0.1:993" or "[::1]:993"; port 0 ("any free port") only where `free_port` is set.
absl::StatusOr<Endpoint> parse_endpoint(std::string_view text, bool free_port);

// A non-blocking listener with a backlog as long as the kernel allows; connections inherit TCP_NODELAY.
absl::StatusOr<int> listen_tcp(const Endpoint& at);
// The same on a Unix socket; a left-over socket file is replaced.
absl::StatusOr<int> listen_unix(const std::string& path);
// Where a listener really listens.
Endpoint bound_endpoint(int listener);

// Raises the soft limit of open files to the hard one and returns it.
uint64_t raise_descriptor_limit();
// Pins this process to one core.
absl::Status pin_to_core(int core);
// A signalfd for SIGINT, SIGTERM and SIGUSR1, which are blocked; SIGPIPE is ignored.
absl::StatusOr<int> catch_signals();

}  // namespace postern::wire
