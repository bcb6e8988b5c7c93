// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/report.h"

#include "absl/strings/str_format.h"

namespace postern::swarm {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += absl::StrFormat("\\u%04x", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace

Report& Report::add_raw(std::string_view key, std::string_view value) {
  if (!pairs_.empty()) pairs_ += ", ";
  pairs_.append(quoted(key)).append(": ").append(value);
  return *this;
}

Report& Report::add(std::string_view key, std::string_view value) {
  return add_raw(key, quoted(value));
}

Report& Report::add(std::string_view key, double value) {
  return add_raw(key, absl::StrFormat("%.3f", value));
}

Report& Report::add(std::string_view key, const Latencies& value) {
  Report inner;
  inner.add("p50", value.quantile_ms(0.5)).add("p90", value.quantile_ms(0.9)).add("p99", value.quantile_ms(0.99));
  inner.add("max", value.max_ms());
  return add(key, inner);
}

}  // namespace postern::swarm
