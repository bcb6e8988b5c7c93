// SPDX-License-Identifier: GPL-3.0-or-later
// Counts: how many sessions a mail server, or a user with a limit, has at the moment. One for the process, shared by all
// reactors: touched once when a login begins and once when the session ends, never while mail passes.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/endpoint.h"

namespace postern::session {

class Counts {
 public:
  // False, and nothing is counted, when there are `max` already; 0: no limit.
  [[nodiscard]] bool take(const Endpoint& member, uint32_t max);
  void release(const Endpoint& member);
  uint32_t of(const Endpoint& member) const;

  [[nodiscard]] bool take_user(const std::string& user, uint32_t max);
  void release_user(const std::string& user);

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<Endpoint, uint32_t> members_;
  absl::flat_hash_map<std::string, uint32_t> users_;
};

}  // namespace postern::session
