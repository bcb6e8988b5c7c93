// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/limits_line.h"

namespace postern::reactor {

using session::Limit;
using session::Timeout;

LogLine limits_line(uint32_t reactor, const session::Counters& counters, const session::Admission& admission) {
  const auto over = [&](Limit limit) { return counters.turned_away[static_cast<size_t>(limit)]; };
  const auto timeouts = [&](Timeout timeout) { return counters.timeouts[static_cast<size_t>(timeout)]; };
  LogLine line(Severity::Notice, "status-limits");
  line.add("reactor", uint64_t{reactor})
      .add("unauthenticated", uint64_t{admission.unauthenticated()})
      .add("addresses", uint64_t{admission.addresses()})
      .add("over_sessions", over(Limit::Sessions))
      .add("over_sessions_per_address", over(Limit::SessionsPerAddress))
      .add("over_sessions_per_network", over(Limit::SessionsPerNetwork))
      .add("over_sessions_per_user", counters.over_user_limit)
      .add("over_unauthenticated", over(Limit::Unauthenticated))
      .add("over_unauthenticated_per_address", over(Limit::UnauthenticatedPerAddress))
      .add("over_handshake_rate", over(Limit::HandshakeRate))
      .add("over_handshake_rate_per_address", over(Limit::HandshakeRatePerAddress))
      .add("over_memory", over(Limit::Memory))
      .add("timeouts_proxy", timeouts(Timeout::ProxyHeader))
      .add("timeouts_handshake", timeouts(Timeout::Handshake))
      .add("timeouts_login", timeouts(Timeout::Login))
      .add("timeouts_idle", timeouts(Timeout::Idle))
      .add("timeouts_closing", timeouts(Timeout::Closing));
  return line;
}

}  // namespace postern::reactor
