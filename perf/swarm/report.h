// SPDX-License-Identifier: GPL-3.0-or-later
// Report: a JSON object that is built from first to last.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "perf/swarm/latencies.h"

namespace postern::swarm {

class Report {
 public:
  Report& add(std::string_view key, std::string_view value);
  Report& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  Report& add(std::string_view key, std::same_as<bool> auto value) { return add_raw(key, value ? "true" : "false"); }
  Report& add(std::string_view key, std::unsigned_integral auto value) requires(!std::same_as<decltype(value), bool>) {
    return add_raw(key, std::to_string(value));
  }
  Report& add(std::string_view key, double value);
  Report& add(std::string_view key, const Report& value) { return add_raw(key, value.text()); }
  // {"p50": ..., "p90": ..., "p99": ..., "max": ...}, milliseconds.
  Report& add(std::string_view key, const Latencies& value);

  std::string text() const { return "{" + pairs_ + "}"; }

 private:
  Report& add_raw(std::string_view key, std::string_view value);

  std::string pairs_;
};

}  // namespace postern::swarm
