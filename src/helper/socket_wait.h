// SPDX-License-Identifier: GPL-3.0-or-later
// Waiting for a socket until a deadline, as all sources do that speak with a server by themselves.
#pragma once

#include "base/clock.h"

namespace postern::helper {

// False: nothing can be read or written (poll.h's events) until the deadline. `ready` gets what can. A failure of the
// socket counts as ready: it shows itself in what is done next.
bool wait_for(int socket, short events, Instant deadline, short* ready = nullptr);
// Between questions a server has nothing to say but that it closes.
bool has_hung_up(int socket);

}  // namespace postern::helper
