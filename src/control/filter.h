// SPDX-License-Identifier: GPL-3.0-or-later
// Filter: which sessions an administrator means, as in `user=joe&front=192.0.2.0/24`.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "auth/form.h"
#include "base/endpoint.h"
#include "session/facts.h"

namespace postern::control {

struct Filter {
  std::optional<uint64_t> id;
  std::string user;      // without regard to ASCII case
  std::string protocol;  // "imap"
  std::string state;     // "Relaying", without regard to case
  std::optional<Network> front;
  std::optional<Network> back;  // its port is not looked at
  uint16_t back_port = 0;       // 0: any
  uint16_t local_port = 0;      // of the listening socket; 0: any

  // From the request's `session`, `user`, `protocol`, `state`, `front`, `back` and `port`. The status says which value
  // cannot be understood.
  static absl::StatusOr<Filter> of(const auth::Form& request);
  bool matches(const session::Facts& facts) const;
  bool is_everything() const;
};

}  // namespace postern::control
