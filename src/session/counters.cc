// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/surroundings.h"

namespace postern::session {

void Counters::add(const Counters& other) {
  accepted += other.accepted;
  turned_away += other.turned_away;
  handshakes += other.handshakes;
  handshakes_resumed += other.handshakes_resumed;
  handshakes_failed += other.handshakes_failed;
  logins += other.logins;
  refused += other.refused;
  unavailable += other.unavailable;
  back_failures += other.back_failures;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  for (size_t state = 0; state < states.size(); ++state)
    states[state] += other.states[state];
  measures.add(other.measures);
}

}  // namespace postern::session
