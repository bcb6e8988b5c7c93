// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/words.h"

#include <algorithm>
#include <array>

namespace postern::config {
namespace {

// No name of ours comes near this; longer ones are never "meant", and the table below stays on the stack.
constexpr size_t word_size_max = 48;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The optimal string alignment distance.
size_t distance(std::string_view left, std::string_view right) {
  std::array<std::array<size_t, word_size_max + 1>, word_size_max + 1> cost;
  for (size_t i = 0; i <= left.size(); ++i)
    cost[i][0] = i;
  for (size_t j = 0; j <= right.size(); ++j)
    cost[0][j] = j;
  for (size_t i = 1; i <= left.size(); ++i) {
    for (size_t j = 1; j <= right.size(); ++j) {
      const size_t replace = lower(left[i - 1]) == lower(right[j - 1]) ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + replace});
      const bool swapped =
          i > 1 && j > 1 && lower(left[i - 1]) == lower(right[j - 2]) && lower(left[i - 2]) == lower(right[j - 1]);
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[left.size()][right.size()];
}

struct Unit {
  std::string_view word;
  uint64_t amount;
};

std::string in_units(uint64_t number, std::span<const Unit> largest_first) {
  for (const Unit& unit : largest_first) {
    if (number % unit.amount == 0) return std::to_string(number / unit.amount) + std::string(unit.word);
  }
  return std::to_string(number);
}

void append_printable(std::string& result, char c) {
  constexpr char digits[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7f) {
    result += c;
    return;
  }
  result += "\\x";
  result += digits[byte >> 4];
  result += digits[byte & 15];
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text)
    append_printable(result, c);
  return result;
}

std::string quoted(std::string_view text) {
  constexpr size_t size_max = 80;
  std::string result = "\"";
  for (const char c : text.substr(0, size_max)) {
    if (c == '"' || c == '\\') result += '\\';
    append_printable(result, c);
  }
  if (text.size() > size_max) result += "...";
  result += '"';
  return result;
}

std::string listed(std::span<const std::string> words, std::string_view last) {
  std::string result;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0 && i + 1 < words.size()) result += ", ";
    if (i > 0 && i + 1 == words.size()) {
      result += ' ';
      result += last;
      result += ' ';
    }
    result += words[i];
  }
  return result;
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> choices) {
  std::string_view best;
  if (text.empty() || text.size() > word_size_max) return best;
  // One slip in three letters is still the same word to a reader; more is another word.
  size_t distance_max = std::max<size_t>(1, text.size() / 3);
  for (const std::string_view choice : choices) {
    if (choice.size() > word_size_max) continue;
    const size_t found = distance(text, choice);
    if (found > distance_max || (found == distance_max && !best.empty())) continue;
    distance_max = found;
    best = choice;
  }
  return best;
}

std::string duration_text(uint64_t ms) {
  static constexpr Unit units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
  return ms == 0 ? "0s" : in_units(ms, units);
}

std::string size_text(uint64_t bytes) {
  static constexpr Unit units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};
  return bytes == 0 ? "0B" : in_units(bytes, units);
}

}  // namespace postern::config
