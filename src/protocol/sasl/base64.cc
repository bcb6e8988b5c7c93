// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sasl/base64.h"

#include <array>
#include <cstdint>

#include "base/secret.h"

namespace postern::sasl {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t no_digit = 0xff;

constexpr std::array<uint8_t, 256> make_digits() {
  std::array<uint8_t, 256> digits{};
  digits.fill(no_digit);
  for (size_t i = 0; i < alphabet.size(); ++i)
    digits[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return digits;
}
constexpr std::array<uint8_t, 256> digit_of = make_digits();

size_t padding_of(std::string_view text) {
  if (text.ends_with("==")) return 2;
  return text.ends_with('=') ? 1 : 0;
}

}  // namespace

bool base64_decode(std::string_view text, std::string& bytes) {
  wipe(bytes);
  if (text.size() % 4 != 0) return false;
  text.remove_suffix(padding_of(text));
  bytes.reserve(text.size() * 3 / 4);
  uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const uint8_t digit = digit_of[static_cast<uint8_t>(c)];
    if (digit == no_digit) {
      wipe(bytes);
      return false;
    }
    group = group << 6 | digit;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(group >> bits & 0xff));
  }
  return true;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = i; j < i + 3; ++j)
      group = group << 8 | (j < bytes.size() ? static_cast<uint8_t>(bytes[j]) : 0);
    for (unsigned shift = 24; shift != 0;)
      text.push_back(alphabet[group >> (shift -= 6) & 0x3f]);
  }
  // A short last group says so with padding in place of the digits that it lacks.
  const size_t missing = (3 - bytes.size() % 3) % 3;
  for (size_t i = 0; i < missing; ++i)
    text[text.size() - 1 - i] = '=';
  return text;
}

}  // namespace postern::sasl
