// SPDX-License-Identifier: GPL-3.0-or-later
// What is known of who tries to log in, and what follows from it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "helper/guessing/options.h"

namespace postern::helper {

enum class Counter : uint8_t {
  Network,        // wrong passwords of all users from one network
  User,           // of one user from networks that are not his
  UserAtNetwork,  // of one user from one network
  Policy,         // no counter of ours: the policy server says no
};
inline constexpr std::array own_counters = {Counter::Network, Counter::User, Counter::UserAtNetwork};

// "network", "user", "user_at_network", "policy": for log lines.
std::string_view counter_word(Counter counter);

struct Count {
  uint32_t distinct = 0;  // wrong passwords within the window; 0 while blocked
  Duration blocked_for{};
};

struct Counts {
  std::array<Count, own_counters.size()> all;
  bool known = false;            // the user got in from this network lately
  bool repeated = false;         // after counting: this wrong password was known already
  std::optional<Counter> begun;  // after counting: it began this block

  Count& of(Counter counter) { return all[static_cast<size_t>(counter)]; }
  const Count& of(Counter counter) const { return all[static_cast<size_t>(counter)]; }
};

// The password may be looked at. If it is refused, the refusal waits so long.
struct Go {
  Duration delay{};
};
// It may not.
struct Blocked {
  Duration left{};  // zero: nobody says how long
  Counter counter = Counter::Network;
};
using Judgement = std::variant<Go, Blocked>;

// Whoever is at home in a network answers only for what is tried there in his own name: neither a botnet that is after
// him nor a neighbour who guesses locks him out.
Judgement judge(const Counts& counts, const GuessingOptions& options);

// How many distinct wrong passwords begin a block of this counter; 0: none.
uint32_t limit_of(Counter counter, const GuessingOptions& options);

}  // namespace postern::helper
