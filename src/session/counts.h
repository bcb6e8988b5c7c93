// SPDX-License-Identifier: GPL-3.0-or-later
// Counts: how many sessions a mail server, or a user with a limit, has at the moment. One for the process, shared by all
// reactors: touched once when a login begins and once when the session ends, never while mail passes.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/endpoint.h"

namespace postern::session {

class Counts {
 public:
  // False, and nothing is counted, when there are `max` already, or the member is closed; 0: no limit.
  [[nodiscard]] bool take(const Endpoint& member, uint32_t max);
  void release(const Endpoint& member);
  uint32_t of(const Endpoint& member) const;
  // By the administrator: a closed member gets no new sessions. False: it was so already.
  bool close(const Endpoint& member);
  bool open(const Endpoint& member);
  bool is_closed(const Endpoint& member) const;
  std::vector<Endpoint> closed() const;

  [[nodiscard]] bool take_user(const std::string& user, uint32_t max);
  void release_user(const std::string& user);

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<Endpoint, uint32_t> members_;
  absl::flat_hash_set<Endpoint> closed_;
  absl::flat_hash_map<std::string, uint32_t> users_;
};

}  // namespace postern::session
