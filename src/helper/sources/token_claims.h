// SPDX-License-Identifier: GPL-3.0-or-later
// What a token says of itself (RFC 7519, section 4; RFC 7662, section 2.2), and whether that will do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::helper {

struct TokenRules {
  std::string issuer;                        // `iss` must be this one; empty: whoever
  std::vector<std::string> audiences;        // `aud` must have one of them; empty: whoever's
  std::vector<std::string> scopes;           // all of them must be in `scope` or `scp`
  std::string username_attribute = "email";  // names the user
  bool must_expire = false;                  // without `exp` it is none
};

struct TokenUser {
  std::string name;       // as the token spells it
  int64_t expires_s = 0;  // seconds since 1970, the slack included; 0: it does not say
};

// RFC 6750, section 2.1, and a little more: graphic ASCII.
bool can_be_token(std::string_view text);

// `claims`: a JSON object. InvalidArgument: it is none. PermissionDenied: the token will not do, and why.
absl::StatusOr<TokenUser> judge_claims(std::string_view claims, const TokenRules& rules, int64_t now_s);

// Of an introspection's answer: whether it is one, and the token active.
absl::StatusOr<bool> is_active(std::string_view answer);

}  // namespace postern::helper
