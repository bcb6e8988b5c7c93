// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/limit_checks.h"

#include <algorithm>

#include "config/settings.h"
#include "config/words.h"

namespace postern::config {
namespace {

using session::Limits;

// Below this the gate itself, with its certificates and its cache, is above the ceiling.
constexpr uint64_t memory_useful_min = uint64_t{64} << 20;

struct Bound {
  std::string_view name;
  uint32_t Limits::*limit;
};

// `inner` is never reached where `outer` is smaller. Only what was written is worth a word.
struct Pair {
  Bound inner, outer;
};
constexpr Bound sessions{"sessions", &Limits::sessions};
constexpr Bound per_address{"sessions_per_address", &Limits::sessions_per_address};
constexpr Bound per_network{"sessions_per_network", &Limits::sessions_per_network};
constexpr Bound per_user{"sessions_per_user", &Limits::sessions_per_user};
constexpr Bound waiting{"unauthenticated", &Limits::unauthenticated};
constexpr Bound waiting_per_address{"unauthenticated_per_address", &Limits::unauthenticated_per_address};
constexpr Bound rate{"handshake_rate", &Limits::handshake_rate};
constexpr Bound rate_per_address{"handshake_rate_per_address", &Limits::handshake_rate_per_address};
constexpr Bound prefix_v4{"network_prefix_v4", &Limits::network_prefix_v4};
constexpr Bound prefix_v6{"network_prefix_v6", &Limits::network_prefix_v6};
constexpr Pair pairs[] = {
    {per_address, sessions},        {per_network, sessions},
    {per_user, sessions},           {waiting, sessions},
    {per_address, per_network},     {waiting_per_address, per_address},
    {waiting_per_address, waiting}, {rate_per_address, rate},
};

void warn(Draft& draft, std::string_view name, const std::string& text) {
  draft.warning(draft.place("limits", name), std::string(name) + " in [limits] " + text);
}

bool is_good(const Draft& draft, std::string_view name) {
  const Given* const given = draft.find("limits", name);
  return given != nullptr && given->good;
}

void check_pairs(Draft& draft) {
  const Limits& limits = draft.config.session.limits;
  for (const Pair& pair : pairs) {
    const uint32_t inner = limits.*pair.inner.limit, outer = limits.*pair.outer.limit;
    if (!is_good(draft, pair.inner.name) || inner <= outer || outer == 0) continue;
    warn(draft, pair.inner.name,
         "is " + std::to_string(inner) + " and can never be reached, since " + std::string(pair.outer.name) + " is " +
             std::to_string(outer) + ". Lower the one or raise the other.");
  }
}

void check_networks(Draft& draft) {
  const Limits& limits = draft.config.session.limits;
  const Limits usual;
  for (const Bound& prefix : {prefix_v4, prefix_v6}) {
    if (limits.sessions_per_network != 0 || limits.*prefix.limit == usual.*prefix.limit) continue;
    warn(draft, prefix.name, "changes nothing without sessions_per_network. Set that too, or take it out.");
  }
  const bool everybody = std::any_of(limits.exempt.begin(), limits.exempt.end(),
                                     [](const Network& network) { return network.prefix_bits == 0; });
  if (everybody)
    warn(draft, "exempt", "has everybody: nobody is held to a limit by address. Name only your own hosts.");
}

void check_times(Draft& draft) {
  const Limits& limits = draft.config.session.limits;
  const auto text = [](Duration duration) { return quoted(duration_text(static_cast<uint64_t>(duration.count()))); };
  if (is_good(draft, "handshake_timeout") && limits.handshake_timeout > limits.login_timeout) {
    warn(draft, "handshake_timeout",
         "is " + text(limits.handshake_timeout) +
             ", and login_timeout, which begins at the same moment, ends before: " + text(limits.login_timeout) +
             ". Lower the one or raise the other.");
  }
  if (limits.idle_timeout < std::chrono::minutes(30)) {
    warn(draft, "idle_timeout",
         "is " + text(limits.idle_timeout) +
             "; RFC 9051, section 5.4: the time \"MUST be at least 30 minutes\" for a session that is logged in. "
             "Mail programs that wait for news would be cut off. Set \"31m\" or more.");
  }
}

}  // namespace

void check_limits(Draft& draft) {
  check_pairs(draft);
  check_networks(draft);
  check_times(draft);
  const uint64_t memory = draft.config.session.limits.memory;
  if (memory != 0 && memory < memory_useful_min) {
    warn(draft, "memory",
         "is " + quoted(size_text(memory)) +
             ", which the gate needs for itself: nobody might be let in. Set \"64MiB\" or more.");
  }
}

}  // namespace postern::config
