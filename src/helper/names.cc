// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/names.h"

#include <algorithm>

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

std::optional<std::string> canonical_name(std::string_view sent, const NameRules& rules) {
  if (!is_user_name(sent)) return std::nullopt;
  std::string name = folded(sent);
  if (const auto alias = rules.aliases.find(name); alias != rules.aliases.end()) name = alias->second;
  if (!rules.default_domain.empty() && name.find('@') == name.npos) name += "@" + rules.default_domain;
  const bool is_fit = rules.allowed_characters.empty() || std::all_of(name.begin(), name.end(), [&](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                               rules.allowed_characters.find(c) != std::string::npos;
                      });
  if (!is_fit || !is_user_name(name)) return std::nullopt;
  return name;
}

std::vector<std::string> spellings(const std::string& user, const NameRules& rules) {
  std::vector<std::string> names{user};
  const std::string tail = "@" + rules.default_domain;
  if (!rules.default_domain.empty() && user.ends_with(tail)) names.push_back(user.substr(0, user.size() - tail.size()));
  for (const auto& [alias, target] : rules.aliases) {
    if (std::find(names.begin(), names.end(), target) != names.end()) names.push_back(alias);
  }
  return names;
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
