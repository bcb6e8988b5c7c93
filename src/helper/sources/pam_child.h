// SPDX-License-Identifier: GPL-3.0-or-later
// PamChild: a process of pam_worker.h, seen from the daemon.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "helper/sources/pam_worker.h"

namespace postern::helper {

class PamChild {
 public:
  static absl::StatusOr<std::unique_ptr<PamChild>> start(const std::string& service, const std::string& folder);
  // Kills it, with whatever its modules have started.
  ~PamChild();
  PamChild(const PamChild&) = delete;
  PamChild& operator=(const PamChild&) = delete;

  // After a Status the child is of no use any more.
  absl::StatusOr<PamAnswer> ask(const PamAsked& asked, Instant deadline);
  // Whether it waits for a question; it may have died meanwhile, or have had so many that it is better replaced.
  bool is_ready() const;

 private:
  PamChild(pid_t pid, int socket) : pid_(pid), socket_(socket) {}
  std::string how_it_ended();

  pid_t pid_;  // -1: ended, and waited for
  const int socket_;
  uint32_t questions_ = 0;
};

}  // namespace postern::helper
