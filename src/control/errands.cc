// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/errands.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/check.h"

namespace postern::control {

Errands::Errands() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_fd_ >= 0);
}

Errands::~Errands() {
  ::close(wake_fd_);
}

void Errands::post(std::function<void()> errand) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(errand));
  }
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

void Errands::run() {
  uint64_t count = 0;
  (void)!::read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> errands;
  {
    const std::lock_guard lock(mutex_);
    errands.swap(waiting_);
  }
  for (const std::function<void()>& errand : errands)
    errand();
}

}  // namespace postern::control
