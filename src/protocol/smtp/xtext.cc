// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/xtext.h"

namespace postern::smtp {
namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";

bool is_xchar(char c) {
  return c > 0x20 && c < 0x7f && c != '+' && c != '=';
}

}  // namespace

std::string write_xtext(std::string_view octets) {
  std::string text;
  for (const char c : octets) {
    if (is_xchar(c)) {
      text.push_back(c);
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    text.push_back('+');
    text.push_back(hex_digits[octet >> 4]);
    text.push_back(hex_digits[octet & 0xf]);
  }
  return text;
}

std::optional<std::string> read_xtext(std::string_view text) {
  std::string octets;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_xchar(text[i])) {
      octets.push_back(text[i]);
      continue;
    }
    if (text[i] != '+' || text.size() - i < 3) return std::nullopt;
    const size_t high = hex_digits.find(text[i + 1]);
    const size_t low = hex_digits.find(text[i + 2]);
    if (high == hex_digits.npos || low == hex_digits.npos) return std::nullopt;
    octets.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return octets;
}

}  // namespace postern::smtp
