// SPDX-License-Identifier: GPL-3.0-or-later
// CommandLine: what the administrator typed, as a request for the gate.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ctl/link.h"

namespace postern::ctl {

struct CommandLine {
  enum class What { Ask, Top, Help, Version } what = What::Ask;
  std::string socket = "/run/postern/control.sock";
  bool json = false;
  std::string command;  // "sessions"
  Request request;
};

// The words behind the program's name. A status is a sentence about what is wrong with them.
absl::StatusOr<CommandLine> read_command_line(const std::vector<std::string>& words);

const std::string& usage();

}  // namespace postern::ctl
