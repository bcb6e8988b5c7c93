// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/line/word.h"

#include <algorithm>

namespace postern::line {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string_view take_until(char end, std::string_view& text) {
  const size_t size = text.find(end);
  const std::string_view taken = text.substr(0, size);
  text = size == text.npos ? std::string_view() : text.substr(size + 1);
  return taken;
}

}  // namespace

bool same_word(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char l, char r) { return lower(l) == lower(r); });
}

std::string_view take_word(std::string_view& text) {
  return take_until(' ', text);
}

std::string_view take_line(std::string_view& text) {
  return take_until('\n', text);
}

std::string one_line(std::string_view text, size_t size_max) {
  std::string clean(text.substr(0, size_max));
  std::erase_if(clean, is_control);
  return clean;
}

}  // namespace postern::line
