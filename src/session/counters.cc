// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/surroundings.h"

namespace postern::session {

void Counters::add(const Counters& other) {
  accepted += other.accepted;
  for (size_t limit = 0; limit < limit_count; ++limit)
    turned_away[limit] += other.turned_away[limit];
  handshakes += other.handshakes;
  handshakes_resumed += other.handshakes_resumed;
  handshakes_failed += other.handshakes_failed;
  logins += other.logins;
  refused += other.refused;
  unavailable += other.unavailable;
  over_user_limit += other.over_user_limit;
  for (size_t timeout = 0; timeout < timeout_count; ++timeout)
    timeouts[timeout] += other.timeouts[timeout];
  back_failures += other.back_failures;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  for (size_t state = 0; state < states.size(); ++state)
    states[state] += other.states[state];
  measures.add(other.measures);
}

}  // namespace postern::session
