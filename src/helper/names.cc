// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/names.h"

namespace postern::helper {

std::string folded(std::string_view user) {
  std::string lower(user);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool is_user_name(std::string_view user) {
  if (user.empty() || user.size() > user_size_max || user == "*") return false;
  for (const char c : user) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return false;
  }
  return true;
}

// Goes back to the last star only: a later one can do all that an earlier one could, so the cost is at most the
// product of both sizes, whatever a stranger calls himself.
bool matches_pattern(std::string_view pattern, std::string_view text) {
  size_t at = 0, star = pattern.npos, resume = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      resume = i;
    } else if (at < pattern.size() && pattern[at] == text[i]) {
      ++at;
      ++i;
    } else if (star != pattern.npos) {
      at = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*')
    ++at;
  return at == pattern.size();
}

}  // namespace postern::helper
