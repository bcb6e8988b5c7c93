// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/turnstile.h"

#include <algorithm>

namespace postern::helper {
namespace {

// A source that has not answered anybody for this part of its time-out may well be down: only few wait to find out.
constexpr int stall_share = 4;

}  // namespace

const char* Turnstile::enter() {
  std::unique_lock guard(lock_);
  const auto turn_away = [&](const char* why) {
    ++figures_.turned_away;
    return why;
  };
  const Instant now = std::chrono::steady_clock::now();
  if (away_) {
    if (now < look_again_) return turn_away("it did not answer in time a moment ago");
    look_again_ = now + options_.retry_after;
  }
  if (inside_ >= options_.connections) {
    const bool stalls = now - last_answer_ > options_.timeout / stall_share;
    if (stalls && waiting_ >= options_.connections) return turn_away("it has answered nobody for a while");
    ++waiting_;
    const bool is_free =
        freed_.wait_until(guard, now + options_.timeout, [&] { return inside_ < options_.connections; });
    --waiting_;
    if (!is_free) return turn_away("all its connections are busy");
  }
  ++inside_;
  return "";
}

void Turnstile::done(Result result, Duration taken) {
  const std::lock_guard guard(lock_);
  last_answer_ = std::chrono::steady_clock::now();
  --inside_;
  freed_.notify_one();
  ++figures_.by_result[static_cast<size_t>(result)];
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), taken);
  ++figures_.by_time[static_cast<size_t>(bucket - bounds.begin())];
  // A failure that comes at once costs nobody anything.
  away_ = result == Result::Failed && taken >= options_.timeout * 3 / 4;
  if (away_) look_again_ = std::chrono::steady_clock::now() + options_.retry_after;
}

Turnstile::Figures Turnstile::figures() const {
  const std::lock_guard guard(lock_);
  return figures_;
}

}  // namespace postern::helper
