// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/pool_view.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "protocol/line/word.h"

namespace postern::session {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::string_view word = line::take_word(text);
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

// The line of `list` with that keyword.
std::optional<std::string_view> find_line(std::string_view list, std::string_view keyword) {
  while (!list.empty()) {
    const std::string_view candidate = line::take_line(list);
    std::string_view rest = candidate;
    if (line::same_word(line::take_word(rest), keyword)) return candidate;
  }
  return std::nullopt;
}

// What two lines of the same keyword have in common. Nothing left of arguments: the keyword would promise too much, or
// something else ("AUTH" without mechanisms), so it goes.
std::optional<std::string> common(std::string_view left, std::string_view right) {
  if (line::same_word(left, right)) return std::string(left);
  // ManageSieve's strings: "SIEVE" "fileinto reject". The quotes stand round the words, so they are kept apart.
  const bool quoted = left.ends_with('"') && right.ends_with('"');
  const auto bare = [&](std::string_view line) {
    std::string text(line);
    if (quoted) std::replace(text.begin() + 1, text.end(), '"', ' ');
    return text;
  };
  const std::string left_text = bare(left), right_text = bare(right);
  const std::vector<std::string_view> left_words = words_of(left_text), right_words = words_of(right_text);
  if (left_words.size() == 2 && right_words.size() == 2) {
    const auto left_number = line::parse_number<uint64_t>(left_words[1]),
               right_number = line::parse_number<uint64_t>(right_words[1]);
    if (left_number && right_number) return std::string(*left_number < *right_number ? left : right);
  }
  std::string shared;
  for (size_t i = 1; i < left_words.size(); ++i) {
    const bool both = std::any_of(right_words.begin() + 1, right_words.end(),
                                  [&](std::string_view word) { return line::same_word(word, left_words[i]); });
    if (!both) continue;
    if (!shared.empty()) shared += ' ';
    shared.append(left_words[i]);
  }
  if (shared.empty()) return std::nullopt;
  const std::string keyword(left_words[0]);
  return quoted ? keyword + "\" \"" + shared + "\"" : keyword + " " + shared;
}

}  // namespace

PoolView view_of(const PoolOptions& pool) {
  PoolView view;
  for (const MemberOptions& member : pool.members) {
    if (member.address) view.members.push_back({*member.address, member.weight});
  }
  return view;
}

std::string shared_capabilities(const std::vector<std::string>& lists) {
  if (lists.empty()) return {};
  std::string shared;
  std::string_view first = lists.front();
  while (!first.empty()) {
    std::string kept(line::take_line(first));
    std::string_view rest = kept;
    const std::string keyword(line::take_word(rest));
    bool in_all = !keyword.empty();
    for (size_t i = 1; in_all && i < lists.size(); ++i) {
      const std::optional<std::string_view> other = find_line(lists[i], keyword);
      std::optional<std::string> both = other ? common(kept, *other) : std::nullopt;
      in_all = both.has_value();
      if (both) kept = *std::move(both);
    }
    if (!in_all) continue;
    if (!shared.empty()) shared += '\n';
    shared += kept;
  }
  return shared;
}

}  // namespace postern::session
