// SPDX-License-Identifier: GPL-3.0-or-later
#include "ctl/show.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace postern::ctl {
namespace {

// Of a member that may be missing, or be something else: an older or newer gate must not make posternctl fall.
std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return "";
  if (found->is_string()) return printable(found->get_ref<const std::string&>());
  return found->dump();
}

uint64_t number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<uint64_t>() : 0;
}

Json part_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : Json::object();
}

std::string row(std::string_view name, std::string_view value) {
  return absl::StrFormat("%-16s%s\n", name, value);
}

std::string show_status(const Json& json) {
  const Json handshakes = part_of(json, "handshakes"), logins = part_of(json, "logins"),
             helper = part_of(json, "helper"), cache = part_of(json, "cache"),
             certificates = part_of(json, "certificates");
  const Json by_state = part_of(json, "states");
  std::string states;
  for (const auto& [state, count] : by_state.items()) {
    if (count.is_number() && count != 0)
      states += absl::StrFormat("%s%s %s", states.empty() ? "" : ", ", printable(state), count.dump());
  }
  std::string text;
  text +=
      row("gate", absl::StrFormat("version %s, process %u, up %s, %u reactors, log level %s", text_at(json, "version"),
                                  number_at(json, "pid"), age_text(number_at(json, "uptime_seconds")),
                                  number_at(json, "reactors"), text_at(json, "log_level")));
  text += row("sessions", absl::StrFormat("%u%s", number_at(json, "sessions"), states.empty() ? "" : ": " + states));
  text += row("connections", absl::StrFormat("%u accepted, %u turned away", number_at(json, "accepted"),
                                             number_at(json, "turned_away")));
  text += row("handshakes", absl::StrFormat("%u done, %u of them resumed, %u failed", number_at(handshakes, "done"),
                                            number_at(handshakes, "resumed"), number_at(handshakes, "failed")));
  text += row("logins", absl::StrFormat("%u accepted, %u refused, %u not now", number_at(logins, "accepted"),
                                        number_at(logins, "refused"), number_at(logins, "unavailable")));
  text += row("mail servers", absl::StrFormat("%u failed attempts", number_at(json, "back_failures")));
  text += row("helper",
              absl::StrFormat("%u connections, %u questions under way, %u timed out", number_at(helper, "connected"),
                              number_at(helper, "in_flight"), number_at(helper, "timed_out")));
  text +=
      row("cache", absl::StrFormat("%u entries, %u hits, %u misses, %u stale", number_at(cache, "entries"),
                                   number_at(cache, "hits"), number_at(cache, "misses"), number_at(cache, "stale")));
  text += row("certificates", absl::StrFormat("%u served, %u run out soon", number_at(certificates, "served"),
                                              number_at(certificates, "running_out")));
  text +=
      row("bytes", absl::StrFormat("%s in, %s out; %s lent to sessions", size_text(number_at(json, "bytes_in")),
                                   size_text(number_at(json, "bytes_out")), size_text(number_at(json, "lent_bytes"))));
  return text;
}

constexpr char columns[] = "%-16s  %-13s  %-10s  %-24s  %-21s  %-21s  %8s  %8s  %8s\n";

std::string show_row(const Json& json) {
  return absl::StrFormat(columns, text_at(json, "session"), text_at(json, "state"), text_at(json, "protocol"),
                         text_at(json, "user"), text_at(json, "front"), text_at(json, "back"),
                         age_text(number_at(json, "seconds")), size_text(number_at(json, "bytes_in")),
                         size_text(number_at(json, "bytes_out")));
}

std::string show_sessions(const Json& json, bool first) {
  std::string text;
  if (json.contains("session")) {
    if (first) {
      text += absl::StrFormat(columns, "SESSION", "STATE", "PROTOCOL", "USER", "FRONT", "BACK", "AGE", "IN", "OUT");
    }
    return text + show_row(json);
  }
  if (json.contains("known")) return "";
  const bool kicked = json.contains("kicked");
  const uint64_t count = number_at(json, kicked ? "kicked" : "sessions");
  return absl::StrFormat("%u session%s%s\n", count, count == 1 ? "" : "s", kicked ? " ended" : "");
}

// One member a line.
std::string show_members(const Json& json) {
  std::string text;
  for (const auto& [key, value] : json.items()) {
    if (key == "result") continue;
    text += row(printable(key), value.is_string() ? printable(value.get_ref<const std::string&>()) : value.dump());
  }
  return text;
}

constexpr char back_columns[] = "%-16s  %-10s  %-28s  %-8s  %8s  %6s\n";

std::string show_backends(const Json& json, bool first) {
  std::string text;
  if (first) text += absl::StrFormat(back_columns, "POOL", "PROTOCOL", "BACK", "STATE", "SESSIONS", "WEIGHT");
  if (!json.contains("pool")) return text;
  return text + absl::StrFormat(back_columns, text_at(json, "pool"), text_at(json, "protocol"), text_at(json, "back"),
                                text_at(json, "state"), text_at(json, "sessions"), text_at(json, "weight"));
}

std::string show_trace(const Json& json) {
  if (json.contains("tracing")) {
    return absl::StrFormat("the next %u session%s of %s, for %s at most; ^C ends it\n", number_at(json, "sessions"),
                           number_at(json, "sessions") == 1 ? "" : "s", text_at(json, "tracing"),
                           age_text(number_at(json, "seconds")));
  }
  if (!json.contains("voice")) {
    return absl::StrFormat("%u session%s seen, end: %s\n", number_at(json, "sessions"),
                           number_at(json, "sessions") == 1 ? "" : "s", text_at(json, "end"));
  }
  return absl::StrFormat("%s %9.3fs  %-12s  %s\n", text_at(json, "session"),
                         static_cast<double>(number_at(json, "ms")) / 1000, text_at(json, "voice"),
                         text_at(json, "text"));
}

std::string show_lines(const Json& json) {
  std::string text;
  const auto lines = json.find("lines");
  if (lines == json.end() || !lines->is_array()) return text;
  for (const Json& line : *lines) {
    if (line.is_string()) text += printable(line.get_ref<const std::string&>()) + "\n";
  }
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += absl::StrFormat("\\x%02x", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string age_text(uint64_t seconds) {
  const uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (days != 0) return absl::StrFormat("%ud %uh", days, hours % 24);
  if (hours != 0) return absl::StrFormat("%uh %um", hours, minutes % 60);
  if (minutes != 0) return absl::StrFormat("%um %us", minutes, seconds % 60);
  return absl::StrFormat("%us", seconds);
}

std::string size_text(uint64_t bytes) {
  static constexpr const char* units[] = {"kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return absl::StrFormat("%u B", bytes);
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (value /= 1000; value >= 999.95 && unit + 1 < std::size(units); value /= 1000)
    unit++;
  return absl::StrFormat("%.1f %s", value, units[unit]);
}

std::string show(std::string_view command, const Json& document, bool first) {
  if (!document.is_object()) return "";
  if (command == "status") return show_status(document);
  if (command == "sessions" || command == "kick") return show_sessions(document, first);
  if (command == "session") return document.contains("session") ? show_members(document) : "";
  if (command == "trace") return show_trace(document);
  if (command == "metrics") {
    const auto text = document.find("text");
    const bool is_text = text != document.end() && text->is_string();
    return is_text ? text->get<std::string>() : "";
  }
  if (command == "backends" && (document.contains("pool") || document.contains("backends"))) {
    return show_backends(document, first);
  }
  if (command == "move") return show_sessions(document, first);
  if (command == "reload") return show_lines(document);
  return show_members(document);
}

}  // namespace postern::ctl
