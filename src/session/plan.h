// SPDX-License-Identifier: GPL-3.0-or-later
// Plan: what a session wants of the world at this moment. The reactor asks for it after every event, compares it with
// what is under way and submits the difference.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/endpoint.h"

namespace postern::session {

enum class Side : uint8_t { Front, Back };

struct Plan {
  bool receive_front = false;
  bool receive_back = false;
  // Shut down the sending half (FIN) as soon as the side's outbox is empty; once wanted, it stays wanted.
  bool finish_front = false;
  bool finish_back = false;
  // Which connection to a mail server should stand, counted from 1 in this session; 0: none. A number other than the
  // present connection's means: close that one, then connect to Session::back_endpoint().
  uint32_t back_attempt = 0;
  // Over: close both sockets at once and destroy the session when the kernel holds nothing of it.
  bool close = false;
  // When to call due(), unless an event comes first and moves it.
  Instant deadline = instant_never;
};

}  // namespace postern::session
