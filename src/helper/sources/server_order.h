// SPDX-License-Identifier: GPL-3.0-or-later
// ServerOrder: several servers of one source, tried in the configured order; one that has failed is tried last for a while.
#pragma once

#include <mutex>
#include <vector>

#include "base/clock.h"

namespace postern::helper {

// From any thread.
class ServerOrder {
 public:
  // Servers have the numbers below `count`.
  ServerOrder(size_t count, Duration avoid_for) : avoid_for_(avoid_for), avoided_until_(count) {}

  std::vector<size_t> now() const;
  void failed(size_t server);
  void served(size_t server);
  // Until when one server may take, if it and those behind it, `left` together, have until `deadline`: each gets its
  // share, so that one which hangs leaves time for the next.
  static Instant share(Instant deadline, size_t left);

 private:
  const Duration avoid_for_;
  mutable std::mutex lock_;
  std::vector<Instant> avoided_until_;
};

}  // namespace postern::helper
