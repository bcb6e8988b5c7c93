// SPDX-License-Identifier: GPL-3.0-or-later
// Listening: the sockets that accept, one for each address and reactor (SO_REUSEPORT), kept over reloads.
#pragma once

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/reactor.h"
#include "session/options.h"

namespace postern::daemon {

// A listening socket on its way from one process of the gate to the next.
struct Heirloom {
  int fd = -1;
  Endpoint local;
};

class Listening {
 public:
  explicit Listening(uint32_t reactors) : sockets_(reactors), extras_(reactors) {}

  // What the gate before this one listened on; the descriptors are taken over. The next update() uses them where it
  // would bind, and closes the others.
  void inherit(std::vector<Heirloom> sockets) { inherited_ = std::move(sockets); }
  // All sockets, for the gate after this one; the descriptors stay here.
  std::vector<Heirloom> heirlooms() const;

  // Makes the sockets those of `listeners`: what is listened on already stays, what is new is bound, what is gone is
  // forgotten (the reactor closes it). On an error nothing has changed.
  absl::Status update(const std::vector<session::ListenerOptions>& listeners);

  // What a reactor listens on. The descriptors are the reactor's to close.
  std::vector<reactor::ListeningSocket> of(uint32_t reactor) const;

 private:
  absl::StatusOr<int> open(const session::ListenerOptions& listener, const Endpoint& address);
  bool inherits(const Endpoint& address) const;
  void share_extras(const std::vector<session::ListenerOptions>& listeners);

  std::vector<std::vector<reactor::ListeningSocket>> sockets_;
  // The gate before this one had more reactors: each of its sockets has a queue of its own, so some get two of an address.
  std::vector<std::vector<reactor::ListeningSocket>> extras_;
  std::vector<Heirloom> inherited_;
};

}  // namespace postern::daemon
