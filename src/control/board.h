// SPDX-License-Identifier: GPL-3.0-or-later
// Board: what is in force at the moment, hung out by the main thread and the health checks for the control thread to read.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "session/pool_view.h"
#include "session/setup.h"

namespace postern::control {

// Thread-safe.
class Board {
 public:
  void put(std::shared_ptr<const session::Setup> setup) {
    const std::lock_guard lock(mutex_);
    setup_ = std::move(setup);
  }
  void put(std::shared_ptr<const session::PoolViews> views) {
    const std::lock_guard lock(mutex_);
    views_ = std::move(views);
  }
  std::shared_ptr<const session::Setup> setup() const {
    const std::lock_guard lock(mutex_);
    return setup_;
  }
  // Null before the first health check.
  std::shared_ptr<const session::PoolViews> views() const {
    const std::lock_guard lock(mutex_);
    return views_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const session::Setup> setup_;
  std::shared_ptr<const session::PoolViews> views_;
};

}  // namespace postern::control
