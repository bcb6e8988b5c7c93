// SPDX-License-Identifier: GPL-3.0-or-later
// The checks: each plays one scene and says what was wrong in it. What they look for is the list in postern-helper(7).
#pragma once

#include <span>
#include <string_view>

#include "helper/conform/talk.h"

namespace postern::helper::conform {

struct Check {
  std::string_view name;
  std::string_view rule;  // the manual's sentence
  void (*run)(const Setup& setup, Finding& finding);
};

// How lines are framed, sent and answered; the first one is the hello, without which the others are pointless.
std::span<const Check> framing_checks();
// What is said of logins.
std::span<const Check> login_checks();
// The same for a user whose password is known.
std::span<const Check> user_checks();

}  // namespace postern::helper::conform
