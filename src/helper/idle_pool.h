// SPDX-License-Identifier: GPL-3.0-or-later
// IdlePool: connections, or what else is dear to make, between one question and the next. From any thread.
#pragma once

#include <iterator>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace postern::helper {

// `Handle` is a unique_ptr of some kind. The pool grows to as many as were in use at one time; whoever asks bounds that.
// What does not fit any more is closed without the lock, because closing may wait.
template <typename Handle>
class IdlePool {
 public:
  IdlePool() = default;
  // What was idle for longer is not used any more.
  explicit IdlePool(Duration age_max) : age_max_(age_max) {}

  // The one that was used last and `fits`; null: there is none, make one. Those that do not fit end here.
  template <typename Fits>
  Handle take(Fits fits) {
    while (true) {
      Idle idle;
      {
        const std::lock_guard guard(lock_);
        if (idle_.empty()) return nullptr;
        idle = std::move(idle_.back());
        idle_.pop_back();
      }
      if (is_young(idle) && fits(idle.handle)) return std::move(idle.handle);
    }
  }
  Handle take() {
    return take([](const auto&) { return true; });
  }
  void give_back(Handle handle) {
    const std::lock_guard guard(lock_);
    idle_.push_back({std::move(handle), std::chrono::steady_clock::now()});
  }
  // Ends them all: what broke one of them has done the same to the others.
  void clear() {
    std::vector<Idle> ended;
    const std::lock_guard guard(lock_);
    ended.swap(idle_);
  }
  // Ends those that nobody has needed for a while.
  void end_old() {
    std::vector<Idle> ended;
    const std::lock_guard guard(lock_);
    // The one used last is the last.
    size_t old = 0;
    while (old < idle_.size() && !is_young(idle_[old]))
      ++old;
    const auto young = idle_.begin() + static_cast<ptrdiff_t>(old);
    std::move(idle_.begin(), young, std::back_inserter(ended));
    idle_.erase(idle_.begin(), young);
  }

 private:
  struct Idle {
    Handle handle;
    Instant since;
  };

  bool is_young(const Idle& idle) const {
    return !age_max_ || std::chrono::steady_clock::now() - idle.since < *age_max_;
  }

  const std::optional<Duration> age_max_;
  std::mutex lock_;
  std::vector<Idle> idle_;
};

}  // namespace postern::helper
