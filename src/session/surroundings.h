// SPDX-License-Identifier: GPL-3.0-or-later
// Surroundings: what a reactor lends to all of its sessions. It outlives them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/block_pool.h"
#include "base/log_line.h"
#include "session/admission.h"
#include "session/back_health.h"
#include "session/counts.h"
#include "session/measures.h"
#include "session/moves.h"
#include "session/pool_view.h"
#include "session/setup.h"
#include "session/state.h"
#include "session/trace.h"
#include "tls/sessions.h"

namespace postern::session {

// In which state a session's time was over.
enum class Timeout : uint8_t { ProxyHeader, Handshake, Login, Idle, Closing };
inline constexpr size_t timeout_count = 5;

// What is counted a reactor; the control side adds them up.
struct Counters {
  uint64_t accepted = 0;                   // connections
  uint64_t turned_away[limit_count] = {};  // connections, by the Limit that was reached
  uint64_t handshakes = 0;                 // finished at the front
  uint64_t handshakes_resumed = 0;
  uint64_t handshakes_failed = 0;
  uint64_t logins = 0;                    // relays begun
  uint64_t refused = 0;                   // wrong credentials and the like
  uint64_t over_user_limit = 0;           // of these: the user had all the sessions that he may have
  uint64_t unavailable = 0;               // logins that ended in "not now"
  uint64_t timeouts[timeout_count] = {};  // sessions that ended by one, by Timeout
  uint64_t back_failures = 0;             // attempts at a mail server that failed
  uint64_t bytes_in = 0;                  // plaintext from mail programs to mail servers
  uint64_t bytes_out = 0;                 // and back
  std::array<uint32_t, std::variant_size_v<State>> states{};  // sessions now, by the state's index
  Measures measures;

  void add(const Counters& other);  // of another reactor
};

struct Surroundings {
  BlockPool pool;
  BackHealth health;
  tls::BackSessions back_sessions;
  Counters counters;
  std::shared_ptr<const Setup> setup;      // what new sessions take
  std::shared_ptr<const PoolViews> views;  // of the setup's pools; null: as the configuration says
  Counts* counts = nullptr;                // the process's
  Admission* admission = nullptr;          // the process's
  Moves* moves = nullptr;                  // likewise; null: nobody moves
  TraceWishes traces;                      // whose next sessions are to be shown
  std::vector<LogLine> logs;               // the reactor carries them out after each event
};

}  // namespace postern::session
