// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/flood.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/hash/hash.h"
#include "base/endpoint.h"
#include "base/log_fields.h"

namespace postern::control {
namespace {

// So many times lines_max of one event and reason, from everywhere.
constexpr uint32_t everywhere_factor = 10;
constexpr Duration sweep_interval = std::chrono::seconds(1);
constexpr uint8_t network_bits_v4 = 24;
constexpr uint8_t network_bits_v6 = 64;

// "1,204"
std::string in_thousands(uint32_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;)
    text.insert(at -= 3, ",");
  return text;
}

// The address without its port, or the first one of its network.
Endpoint scope_of(Endpoint endpoint, bool whole_address) {
  endpoint.port = 0;
  if (whole_address) return endpoint;
  const uint8_t bits = endpoint.v6 ? network_bits_v6 : network_bits_v4;
  std::fill(endpoint.address.begin() + bits / 8, endpoint.address.end(), uint8_t{0});
  return endpoint;
}

}  // namespace

// What a line is about; views into it.
struct Flood::Subject {
  std::string_view event, front, reason;
  bool is_failed_login() const { return event == "login-failed"; }

  // nullopt: it is written in any case.
  static std::optional<Subject> of(const LogLine& line) {
    if (line.severity() == Severity::Debug) return std::nullopt;
    LogFields fields(line);
    if (fields.event() == "login" || fields.event() == "end") return std::nullopt;
    Subject subject{fields.event(), {}, {}};
    while (const std::optional<LogFields::Field> field = fields.next()) {
      if (field->key == "front") subject.front = field->written;
      if (field->key == "reason") subject.reason = field->written;
    }
    return subject.front.empty() ? std::nullopt : std::optional(subject);
  }

  // The address for a failed login, else the network.
  Endpoint scope() const { return scope_of(Endpoint::parse(front).value_or(Endpoint()), is_failed_login()); }
  std::string scope_text() const {
    const Endpoint endpoint = scope();
    if (is_failed_login()) return endpoint.address_text();
    return endpoint.address_text() + "/" + std::to_string(endpoint.v6 ? network_bits_v6 : network_bits_v4);
  }
};

bool Flood::admits(const LogLine& line, Instant now) {
  if (lines_max_ == 0) return true;
  const std::optional<Subject> subject = Subject::of(line);
  if (!subject) return true;
  const auto common = std::pair(subject->event, subject->reason);
  const uint64_t key = absl::HashOf(common, subject->scope());
  if (Entry* const entry = entry_of(key, entries_.size() < keys_max, now)) {
    if (is_over(*entry, lines_max_, line, *subject, true)) return false;
  }
  if (subject->is_failed_login()) return true;
  // There are only so many events and reasons, so these entries always find a place.
  Entry* const entry = entry_of(absl::HashOf(common), true, now);
  return !is_over(*entry, everywhere_factor * lines_max_, line, *subject, false);
}

// Null: there is none, and it may not grow. In an entry that is there its former ten seconds are summed up when they are
// over.
Flood::Entry* Flood::entry_of(uint64_t key, bool may_grow, Instant now) {
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!may_grow) return nullptr;
    found = entries_.emplace(key, Entry{now}).first;
  } else if (now - found->second.begin >= window) {
    sum_up(found->second);
    found->second = Entry{now};
  }
  return &found->second;
}

bool Flood::is_over(Entry& entry, uint32_t lines_max, const LogLine& line, const Subject& subject, bool by_scope) {
  if (++entry.seen <= lines_max) return false;
  if (entry.held_back++ == 0) {
    over_++;
    entry.severity = line.severity();
    entry.event = subject.event;
    entry.reason = subject.reason;
    if (by_scope) {
      entry.scope = subject.is_failed_login() ? "address" : "network";
      entry.scope_value = subject.scope_text();
    }
  }
  return true;
}

void Flood::sum_up(Entry& entry) {
  if (entry.held_back == 0) return;
  over_--;
  LogLine& line = summaries_.emplace_back(entry.severity, entry.event);
  if (!entry.scope.empty()) line.add(entry.scope, entry.scope_value);
  if (!entry.reason.empty()) line.add("reason", entry.reason);
  line.add("repeated", uint64_t{entry.held_back})
      .add("seconds", uint64_t{std::chrono::duration_cast<std::chrono::seconds>(window).count()})
      .say(in_thousands(entry.held_back) + " more like this");
}

std::vector<LogLine> Flood::take_summaries(Instant now) {
  // It looks at all entries, so not after every line.
  if (now != instant_never && now - swept_ < sweep_interval) return std::exchange(summaries_, {});
  swept_ = now;
  absl::erase_if(entries_, [&](auto& entry) {
    if (now != instant_never && now - entry.second.begin < window) return false;
    sum_up(entry.second);
    return true;
  });
  return std::exchange(summaries_, {});
}

}  // namespace postern::control
