// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/server_order.h"

#include <algorithm>
#include <numeric>

namespace postern::helper {

using std::chrono::steady_clock;

std::vector<size_t> ServerOrder::now() const {
  const std::lock_guard guard(lock_);
  std::vector<size_t> order(avoided_until_.size());
  std::iota(order.begin(), order.end(), 0);
  const Instant at = steady_clock::now();
  std::stable_partition(order.begin(), order.end(), [&](size_t server) { return avoided_until_[server] <= at; });
  return order;
}

void ServerOrder::failed(size_t server) {
  const std::lock_guard guard(lock_);
  avoided_until_[server] = steady_clock::now() + avoid_for_;
}

void ServerOrder::served(size_t server) {
  const std::lock_guard guard(lock_);
  avoided_until_[server] = Instant{};
}

Instant ServerOrder::share(Instant deadline, size_t left) {
  const Instant begin = steady_clock::now();
  return begin + (deadline - begin) / static_cast<int64_t>(left);
}

}  // namespace postern::helper
