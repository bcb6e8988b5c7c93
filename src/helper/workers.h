// SPDX-License-Identifier: GPL-3.0-or-later
// Workers: a bounded number of threads that may block, and a bounded queue in front of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "postern/helper.h"

namespace postern::helper {

class Workers {
 public:
  struct Job {
    postern_question* question = nullptr;
    Instant arrived;
  };

  // `work` is called on the threads, once for each job, and owns the job's question.
  Workers(uint32_t threads, uint32_t queue_max, std::function<void(Job)> work);
  // Like finish().
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // False: the queue is full, and the question is still the caller's.
  [[nodiscard]] bool add(postern_question* question);
  // Works off what is queued, then ends the threads.
  void finish();

 private:
  void run();

  const uint32_t queue_max_;
  const std::function<void(Job)> work_;
  std::mutex lock_;
  std::condition_variable more_;
  std::deque<Job> queue_;
  bool finishing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace postern::helper
