// SPDX-License-Identifier: GPL-3.0-or-later
// Errands: what other threads ask a thread that polls to do.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

namespace postern::control {

class Errands {
 public:
  Errands();
  ~Errands();
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  // Any thread. Whoever posts to a thread that may end earlier keeps the errands by a shared_ptr: what nobody runs any
  // more is destroyed with them.
  void post(std::function<void()> errand);
  // Readable while there are some.
  int fd() const { return wake_fd_; }
  // Does all that there are, in order. Only the thread that polls.
  void run();

 private:
  int wake_fd_ = -1;
  std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace postern::control
