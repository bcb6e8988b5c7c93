// SPDX-License-Identifier: GPL-3.0-or-later
// Flood: when mail programs make the same line again and again, the first ones are written and the others counted.
//
// Lines are the same with event, reason and network (IPv4 /24, IPv6 /64) in common. Beyond `lines_max` of them in ten
// seconds one line at the end of the ten says how many there were. So that an attack from everywhere does not pass as many
// small ones, ten times as many of one event and reason are the most, wherever they come from.
//
// Never held back: login and end, lines that are about no mail program (without `front`), and what only debug shows.
// login-failed is counted by address and has no limit over all of them: fail2ban counts those lines, and `lines_max`
// from one address are more than it needs.
//
// Memory: keys_max entries, and a summary for those that are over. Not for several threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/log_line.h"

namespace postern::control {

class Flood {
 public:
  static constexpr Duration window = std::chrono::seconds(10);
  // Beyond it lines of new networks count by event and reason alone.
  static constexpr size_t keys_max = 4096;

  // 0: everything is written.
  void set_lines_max(uint32_t lines_max) { lines_max_ = lines_max; }
  // Whether the line is to be written.
  [[nodiscard]] bool admits(const LogLine& line, Instant now);
  // The summaries that are due; with instant_never all that there are.
  std::vector<LogLine> take_summaries(Instant now);
  // Some lines wait to be summed up.
  bool has_held_back() const { return over_ != 0; }

 private:
  struct Entry {
    Instant begin;
    uint32_t seen = 0;
    uint32_t held_back = 0;
    // Of the summary; only once something is held back.
    Severity severity = Severity::Info;
    std::string event, scope, scope_value, reason;
  };
  struct Subject;

  Entry* entry_of(uint64_t key, bool may_grow, Instant now);
  bool is_over(Entry& entry, uint32_t lines_max, const LogLine& line, const Subject& subject, bool by_scope);
  void sum_up(Entry& entry);

  absl::flat_hash_map<uint64_t, Entry> entries_;
  std::vector<LogLine> summaries_;
  uint32_t lines_max_ = 0;
  Instant swept_;
  size_t over_ = 0;  // entries with something held back
};

}  // namespace postern::control
