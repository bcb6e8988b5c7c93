// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/plan.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "daemon/capacity.h"

namespace postern::daemon {
namespace {

// Mail servers that sessions spread over. Of a pool that is asked in order, the first one has them all.
uint64_t members_at_work(const config::Config& config) {
  std::set<std::string> members;
  for (const session::PoolOptions& pool : config.session.pools) {
    for (const session::MemberOptions& member : pool.members) {
      members.insert(member.text());
      if (pool.balance == session::Balance::Order) break;
    }
  }
  return members.size();
}

void add_memory(Plan& plan, const config::Config& config, const Machine& machine) {
  plan.needs.push_back({"memory, bytes", plan.gate_bytes + plan.kernel_bytes, machine.memory_bytes,
                        "add memory, or a second gate (packaging/manual/several-gates.md)"});
  if (config.session.limits.memory > 0) {
    plan.needs.push_back({"limits.memory, bytes", plan.gate_bytes, config.session.limits.memory,
                          "raise limits.memory in the configuration, or new sessions are turned away"});
  }
}

void add_descriptors(Plan& plan, const Machine& machine) {
  // Each reactor may hold all sessions, as far as its table goes: see raise_descriptor_limit in gate.cc.
  const uint64_t wanted = std::min(2 * (plan.sessions + spare_descriptors), table_max);
  plan.needs.push_back({"LimitNOFILE", wanted, machine.descriptors,
                        absl::StrFormat("set LimitNOFILE=%u in the unit; this is the limit of the shell that asks "
                                        "(`ulimit -Hn`), and the shipped unit has 1048576",
                                        wanted)});
  plan.needs.push_back({"fs.nr_open", wanted, machine.nr_open, absl::StrFormat("sysctl -w fs.nr_open=%u", wanted)});
  plan.needs.push_back({"sessions that all reactors hold", plan.sessions, plan.reactors * (table_max / 2),
                        "raise gate.reactors, or add a second gate"});
}

void add_network(Plan& plan, const config::Config& config, const Machine& machine) {
  plan.needs.push_back({"net.core.somaxconn", backlog, machine.somaxconn,
                        absl::StrFormat("sysctl -w net.core.somaxconn=%u, or a wave of connections is cut", backlog)});
  if (const uint64_t members = members_at_work(config); members > 0) {
    plan.needs.push_back({"ports for each mail server", (plan.sessions + members - 1) / members, machine.ports,
                          "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\" (reserve the ports of your own "
                          "services in ip_local_reserved_ports), or give mail servers more addresses or ports"});
  }
  if (machine.conntrack_max) {
    plan.needs.push_back({"net.netfilter.nf_conntrack_max", 2 * plan.sessions, machine.conntrack_max,
                          absl::StrFormat("sysctl -w net.netfilter.nf_conntrack_max=%u, or exempt the gate's ports "
                                          "from tracking",
                                          2 * plan.sessions)});
  }
}

std::optional<uint64_t> number_in(const char* path) {
  std::ifstream file(path);
  uint64_t number;
  if (file >> number) return number;
  return std::nullopt;
}

std::optional<uint64_t> available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    uint64_t kilobytes;
    if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  }
  return std::nullopt;
}

std::optional<uint64_t> local_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  uint64_t first, last;
  if (file >> first >> last && first <= last) return last - first + 1;
  return std::nullopt;
}

}  // namespace

bool Plan::fits() const {
  return std::all_of(needs.begin(), needs.end(), [](const Need& need) { return need.suffices(); });
}

Plan plan(const config::Config& config, uint64_t sessions, const Machine& machine) {
  Plan plan;
  plan.sessions = sessions;
  plan.reactors = config.reactor.reactors > 0 ? config.reactor.reactors : machine.cores;
  plan.gate_bytes = gate_base_bytes + sessions * gate_session_bytes;
  plan.kernel_bytes = sessions * kernel_session_bytes;
  const uint64_t cores = std::min(plan.reactors, machine.cores);
  plan.logins_full = cores * logins_a_core_full;
  plan.logins_resumed = cores * logins_a_core_resumed;
  plan.needs.push_back(
      {"limits.sessions", sessions, config.session.limits.sessions, "raise limits.sessions in the configuration"});
  add_memory(plan, config, machine);
  add_descriptors(plan, machine);
  add_network(plan, config, machine);
  return plan;
}

Machine this_machine() {
  Machine machine;
  machine.cores = usable_cores();
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) machine.descriptors = limit.rlim_max;
  machine.memory_bytes = available_memory();
  machine.somaxconn = number_in("/proc/sys/net/core/somaxconn");
  machine.ports = local_ports();
  machine.nr_open = number_in("/proc/sys/fs/nr_open");
  machine.conntrack_max = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
  return machine;
}

std::string plan_text(const Plan& plan) {
  std::string text = absl::StrFormat("%u sessions, %u reactors\n\n", plan.sessions, plan.reactors);
  absl::StrAppendFormat(&text, "memory of the gate    %10.1f MB\nmemory of the kernel  %10.1f MB\n",
                        static_cast<double>(plan.gate_bytes) / 1e6, static_cast<double>(plan.kernel_bytes) / 1e6);
  absl::StrAppendFormat(&text, "logins a second       %10u, %u where TLS is resumed\n\n", plan.logins_full,
                        plan.logins_resumed);
  absl::StrAppendFormat(&text, "%-32s %14s %20s\n", "", "wanted", "present");
  for (const Need& need : plan.needs) {
    const std::string present = need.present ? absl::StrFormat("%u", *need.present) : "not known";
    absl::StrAppendFormat(&text, "%-32s %14u %20s%s\n", need.name, need.wanted, present,
                          need.suffices() ? "" : "  too little");
  }
  text += "\nMemory and logins were measured on one machine: take them as an order of magnitude for yours.\n";
  for (const Need& need : plan.needs)
    if (!need.suffices()) absl::StrAppendFormat(&text, "%s: %s\n", need.name, need.remedy);
  text += plan.fits() ? "All of this fits.\n" : "This does not fit as it is.\n";
  return text;
}

std::string plan_json(const Plan& plan) {
  nlohmann::ordered_json needs = nlohmann::ordered_json::array();
  for (const Need& need : plan.needs) {
    nlohmann::ordered_json entry{{"name", need.name}, {"wanted", need.wanted}, {"present", nullptr}};
    if (need.present) entry["present"] = *need.present;
    entry["suffices"] = need.suffices();
    if (!need.suffices()) entry["remedy"] = need.remedy;
    needs.push_back(std::move(entry));
  }
  const nlohmann::ordered_json object{{"sessions", plan.sessions},
                                      {"reactors", plan.reactors},
                                      {"gate_bytes", plan.gate_bytes},
                                      {"kernel_bytes", plan.kernel_bytes},
                                      {"logins_full", plan.logins_full},
                                      {"logins_resumed", plan.logins_resumed},
                                      {"fits", plan.fits()},
                                      {"needs", std::move(needs)}};
  return object.dump() + "\n";
}

}  // namespace postern::daemon
