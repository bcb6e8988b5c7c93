// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/absence.h"

#include <utility>

namespace postern::helper {
namespace {

// One login in a second may find out that it is still away.
constexpr Duration pause = std::chrono::seconds(1);
// A failure that goes on is a line a minute.
constexpr Duration silence = std::chrono::minutes(1);

}  // namespace

bool Absence::worth_asking(Instant now) {
  const std::lock_guard guard(lock_);
  if (!away_) return true;
  if (now < ask_again_) {
    ++without_;
    return false;
  }
  // Only this one asks; the others wait for what it finds.
  ask_again_ = now + pause;
  return true;
}

std::optional<uint64_t> Absence::away(Instant now) {
  const std::lock_guard guard(lock_);
  away_ = true;
  ask_again_ = now + pause;
  ++without_;
  return count(now);
}

std::optional<uint64_t> Absence::failed(Instant now) {
  const std::lock_guard guard(lock_);
  return count(now);
}

std::optional<uint64_t> Absence::there() {
  const std::lock_guard guard(lock_);
  if (!std::exchange(away_, false)) return std::nullopt;
  said_at_.reset();
  unsaid_ = 0;
  return std::exchange(without_, 0);
}

std::optional<uint64_t> Absence::count(Instant now) {
  ++unsaid_;
  if (said_at_ && now < *said_at_ + silence) return std::nullopt;
  said_at_ = now;
  return std::exchange(unsaid_, 0);
}

}  // namespace postern::helper
