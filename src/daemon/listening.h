// SPDX-License-Identifier: GPL-3.0-or-later
// Listening: the sockets that accept, one for each address and reactor (SO_REUSEPORT), kept over reloads.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "reactor/reactor.h"
#include "session/options.h"

namespace postern::daemon {

class Listening {
 public:
  explicit Listening(uint32_t reactors) : sockets_(reactors) {}

  // Makes the sockets those of `listeners`: what is listened on already stays, what is new is bound, what is gone is
  // forgotten (the reactor closes it). On an error nothing has changed.
  absl::Status update(const std::vector<session::ListenerOptions>& listeners);

  // What a reactor listens on. The descriptors are the reactor's to close.
  const std::vector<reactor::ListeningSocket>& of(uint32_t reactor) const { return sockets_[reactor]; }

 private:
  std::vector<std::vector<reactor::ListeningSocket>> sockets_;
};

}  // namespace postern::daemon
