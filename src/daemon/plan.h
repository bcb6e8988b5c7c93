// SPDX-License-Identifier: GPL-3.0-or-later
// `postern plan N`: what N sessions need under a configuration, and whether this machine has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace postern::daemon {

// What was measured, on one machine, with 14,000 sessions (`perf/compare --part memory`) and with logins in a row.
inline constexpr uint64_t gate_base_bytes = 4'300'000;
inline constexpr uint64_t gate_session_bytes = 3390;
inline constexpr uint64_t kernel_session_bytes = 9700;      // two sockets and their armed receives
inline constexpr uint32_t logins_a_core_full = 2500;        // a second: 0.4 CPU seconds for 1,000
inline constexpr uint32_t logins_a_core_resumed = 3333;     // 0.3 CPU seconds for 1,000
inline constexpr uint64_t plan_sessions_max = 100'000'000;  // far more than any machine carries; sums stay in range

// What is known of a machine; what could not be read is not there.
struct Machine {
  uint32_t cores = 1;                     // that this process may use
  std::optional<uint64_t> memory_bytes;   // free, or to be freed at once
  std::optional<uint64_t> descriptors;    // the hard limit of this process
  std::optional<uint64_t> somaxconn;      // net.core.somaxconn
  std::optional<uint64_t> ports;          // how many net.ipv4.ip_local_port_range has
  std::optional<uint64_t> nr_open;        // fs.nr_open
  std::optional<uint64_t> conntrack_max;  // net.netfilter.nf_conntrack_max; absent where it is not loaded
};

// One thing that the machine or the configuration has to have.
struct Need {
  std::string name;
  uint64_t wanted = 0;
  std::optional<uint64_t> present;  // nullopt: not known
  std::string remedy;               // a sentence for where it does not suffice

  bool suffices() const { return !present || *present >= wanted; }
};

struct Plan {
  uint64_t sessions = 0;
  uint32_t reactors = 0;
  uint64_t gate_bytes = 0;
  uint64_t kernel_bytes = 0;
  uint64_t logins_full = 0;     // a second, with all cores that reactors can use
  uint64_t logins_resumed = 0;  // the same where TLS is resumed
  std::vector<Need> needs;

  bool fits() const;
};

// Pure. `sessions` is at most plan_sessions_max.
Plan plan(const config::Config& config, uint64_t sessions, const Machine& machine);

// Reads files of /proc and limits of this process.
Machine this_machine();

// For a terminal, and as one JSON object with a line feed.
std::string plan_text(const Plan& plan);
std::string plan_json(const Plan& plan);

}  // namespace postern::daemon
