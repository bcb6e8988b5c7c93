// SPDX-License-Identifier: GPL-3.0-or-later
// Link: posternctl's connection to the gate's control socket. Blocks, with a time-out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

namespace postern::ctl {

// Pairs of a form, in order.
using Request = std::vector<std::pair<std::string, std::string>>;

class Link {
 public:
  Link() = default;
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The status says what an administrator can do about it.
  absl::Status open(const std::string& path);
  absl::Status ask(const Request& request);
  // The next line of an answer; nothing: the time is over and none came. A gate that hangs up is an error.
  absl::StatusOr<std::optional<std::string>> next(Duration patience);
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::string path_;
  std::string received_;
};

}  // namespace postern::ctl
