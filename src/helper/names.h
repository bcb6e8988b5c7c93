// SPDX-License-Identifier: GPL-3.0-or-later
// User names: mail programs write Joe@Example.test and joe@example.test for the same mailbox.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::helper {

// Longer names are nobody's: RFC 5321, section 4.5.3.1 allows 64 + 1 + 255 bytes.
inline constexpr size_t user_size_max = 512;

// ASCII letters in lower case, all other bytes as they are: how names are kept and compared everywhere here.
std::string folded(std::string_view user);

// Not empty, not too long, no control character, and not "*", which means all users to the gate.
bool is_user_name(std::string_view user);

// How the names of mail programs become those of the sources.
struct NameRules {
  std::string default_domain;      // behind names without an @; empty: they stay as they are
  std::string allowed_characters;  // besides letters and digits; empty: all. Bytes beyond ASCII must be in it
  std::map<std::string, std::string>
      aliases;  // folded: "joe" is "joe@example.test"; looked at once, not again and again
};

// The name to look for; nothing: it cannot be anybody's.
std::optional<std::string> canonical_name(std::string_view sent, const NameRules& rules);

// The other way round: every name by which mail programs may ask for this user, himself included.
std::vector<std::string> spellings(const std::string& user, const NameRules& rules);

// True if `text` is what `pattern` describes: "*" stands for any run of bytes, all else for itself. Both are folded.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace postern::helper
