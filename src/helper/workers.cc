// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/workers.h"

#include <utility>

namespace postern::helper {

Workers::Workers(uint32_t threads, uint32_t queue_max, std::function<void(Job)> work)
    : queue_max_(queue_max), work_(std::move(work)) {
  for (uint32_t i = 0; i < threads; ++i)
    threads_.emplace_back([this] { run(); });
}

Workers::~Workers() {
  finish();
}

bool Workers::add(postern_question* question) {
  {
    const std::lock_guard guard(lock_);
    if (queue_.size() >= queue_max_ || finishing_) return false;
    queue_.push_back({question, std::chrono::steady_clock::now()});
  }
  more_.notify_one();
  return true;
}

void Workers::finish() {
  {
    const std::lock_guard guard(lock_);
    finishing_ = true;
  }
  more_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
}

void Workers::run() {
  while (true) {
    Job job;
    {
      std::unique_lock guard(lock_);
      more_.wait(guard, [this] { return !queue_.empty() || finishing_; });
      if (queue_.empty()) return;
      job = queue_.front();
      queue_.pop_front();
    }
    work_(job);
  }
}

}  // namespace postern::helper
