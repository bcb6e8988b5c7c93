// SPDX-License-Identifier: GPL-3.0-or-later
// Moves: users whose mail is going to another mail server at the moment. One for the process, thread-safe; while nobody
// moves, a login pays for it with one atomic load.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace postern::session {

class Moves {
 public:
  // Moves that are remembered; beyond it the administrator hears no.
  static constexpr size_t moves_max = 10000;

  // New logins of the user wait until `until`; then they go to `back`, if there is one, for as long as the helper
  // answers what it answered to the first of them: a helper that does not know the new place yet. False: too many.
  [[nodiscard]] bool begin(std::string_view user, const std::optional<Endpoint>& back, Instant until);
  // Nothing is known of the user any more; false: nothing was.
  bool forget(std::string_view user);

  // Until when a login has to wait; nothing: not at all.
  std::optional<Instant> held_until(std::string_view user, Instant now);
  // Gives the route its new place.
  void lead(std::string_view user, auth::Route& route);

 private:
  struct Move {
    Instant until;
    std::optional<Endpoint> back;
    std::optional<std::string> old_place;  // what the helper said at the first login
  };

  std::atomic<bool> any_{false};
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Move> moves_;  // by the name in ASCII lower case
};

}  // namespace postern::session
