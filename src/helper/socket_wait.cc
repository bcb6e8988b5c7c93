// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/socket_wait.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <limits>

namespace postern::helper {

bool wait_for(int socket, short events, Instant deadline, short* ready) {
  pollfd entry{socket, events, 0};
  for (;;) {
    // Rounded up, so that the last millisecond is not spent in a busy loop.
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    const int count = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, std::numeric_limits<int>::max())));
    if (count == 0 || (count < 0 && errno == EINTR)) continue;
    if (ready != nullptr) *ready = count > 0 ? entry.revents : events;
    return true;
  }
}

bool has_hung_up(int socket) {
  pollfd entry{socket, POLLIN, 0};
  return socket < 0 || poll(&entry, 1, 0) != 0;
}

}  // namespace postern::helper
