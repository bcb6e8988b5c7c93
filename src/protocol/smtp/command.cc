// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/command.h"

#include <algorithm>
#include <charconv>

#include "protocol/line/word.h"

namespace postern::smtp {
namespace {

constexpr std::string_view blanks = " \t";

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

}  // namespace

std::string_view trim_end(std::string_view text) {
  const size_t last = text.find_last_not_of(blanks);
  return text.substr(0, last == text.npos ? 0 : last + 1);
}

std::string_view trim(std::string_view text) {
  text = trim_end(text);
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

bool is_helo(std::string_view text) {
  return !text.empty() && text.size() <= helo_size_max && !has_control(text) && text.find_first_of(blanks) == text.npos;
}

std::optional<Chunk> parse_chunk(std::string_view arguments) {
  arguments = trim_end(arguments);
  const size_t blank = arguments.find(' ');
  const std::string_view digits = arguments.substr(0, blank);
  Chunk chunk;
  chunk.last = blank != arguments.npos;
  if (chunk.last && !line::same_word(arguments.substr(blank + 1), "LAST")) return std::nullopt;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, chunk.size);
  if (error != std::errc() || stop != end || chunk.size > Chunk::size_max) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return chunk;
}

}  // namespace postern::smtp
