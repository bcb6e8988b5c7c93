// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/filter.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace postern::control {
namespace {

absl::Status bad(std::string_view key, std::string_view value, std::string_view want) {
  // The value is the administrator's own and comes back as JSON, which escapes it.
  return absl::InvalidArgumentError(absl::StrFormat("%s=%s: this must be %s", key, value, want));
}

// Debian's abseil has a string_view of its own.
absl::string_view own(std::string_view text) {
  return {text.data(), text.size()};
}

bool read_port(std::string_view text, uint16_t& port) {
  uint32_t number = 0;
  if (!absl::SimpleAtoi(own(text), &number) || number == 0 || number > 65535) return false;
  port = static_cast<uint16_t>(number);
  return true;
}

bool is_protocol(std::string_view word) {
  return std::any_of(std::begin(session::spoken_dialects), std::end(session::spoken_dialects),
                     [&](session::Dialect dialect) { return word == session::dialect_word(dialect); });
}

// A network, an address, or an address and a port.
bool read_place(std::string_view text, std::optional<Network>& network, uint16_t& port) {
  network = Network::parse(text);
  if (network) return true;
  const std::optional<Endpoint> endpoint = Endpoint::parse(text);
  if (!endpoint) return false;
  network = Network{*endpoint, static_cast<uint8_t>(endpoint->v6 ? 128 : 32)};
  port = endpoint->port;
  return true;
}

}  // namespace

absl::StatusOr<Filter> Filter::of(const auth::Form& request) {
  Filter filter;
  if (const std::string_view text = request.get("session"); !text.empty()) {
    uint64_t id = 0;
    if (text.size() != 16 || !absl::SimpleHexAtoi(own(text), &id))
      return bad("session", text, "the sixteen hexadecimal digits that name a session in the log");
    filter.id = id;
  }
  filter.user = std::string(request.get("user"));
  filter.protocol = std::string(request.get("protocol"));
  if (!filter.protocol.empty() && !is_protocol(filter.protocol))
    return bad("protocol", filter.protocol, "imap, pop3, submission or sieve");
  filter.state = std::string(request.get("state"));
  uint16_t front_port = 0;
  if (const std::string_view text = request.get("front"); !text.empty()) {
    if (!read_place(text, filter.front, front_port) || front_port != 0)
      return bad("front", text, "an address or a network such as 192.0.2.0/24");
  }
  if (const std::string_view text = request.get("back"); !text.empty()) {
    if (!read_place(text, filter.back, filter.back_port))
      return bad("back", text, "an address, a network, or an address and a port such as 192.0.2.10:143");
  }
  if (const std::string_view text = request.get("port"); !text.empty()) {
    if (!read_port(text, filter.local_port)) return bad("port", text, "the port of a listener");
  }
  return filter;
}

bool Filter::matches(const session::Facts& facts) const {
  if (id && *id != facts.id) return false;
  if (!user.empty() && !absl::EqualsIgnoreCase(user, facts.user)) return false;
  if (!protocol.empty() && protocol != session::dialect_word(facts.dialect)) return false;
  if (!state.empty() && !absl::EqualsIgnoreCase(state, own(facts.state))) return false;
  if (front && !front->contains(facts.front)) return false;
  if (back && (!facts.back || !back->contains(*facts.back))) return false;
  if (back_port != 0 && (!facts.back || facts.back->port != back_port)) return false;
  return local_port == 0 || facts.local.port == local_port;
}

bool Filter::is_everything() const {
  return !id && user.empty() && protocol.empty() && state.empty() && !front && !back && local_port == 0;
}

}  // namespace postern::control
