// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/reply.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "protocol/line/word.h"

namespace postern::smtp {
namespace {

// A reply line is at most 512 octets (RFC 5321, section 4.5.3.1.5); "250-" and the line end belong to it.
constexpr size_t capability_size_max = 506;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_keyword_char(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

bool is_well_formed(std::string_view line) {
  const std::string_view keyword = capability_keyword(line);
  return !keyword.empty() && line.size() <= capability_size_max &&
         std::all_of(line.begin(), line.end(), is_printable) &&
         std::all_of(keyword.begin(), keyword.end(), is_keyword_char);
}

bool is_private(std::string_view keyword) {
  return keyword.starts_with('X') || keyword.starts_with('x');
}

template <size_t count>
bool is_one_of(std::string_view word, const std::string_view (&words)[count]) {
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view one) { return line::same_word(one, word); });
}

// One to three digits; how many there are.
size_t number_size(std::string_view text) {
  size_t size = 0;
  while (size < std::min<size_t>(3, text.size()) && is_digit(text[size]))
    ++size;
  return size;
}

}  // namespace

std::optional<ReplyLine> parse_reply_line(std::string_view line) {
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
    return std::nullopt;
  // Some mail servers say a code and nothing else.
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return std::nullopt;
  ReplyLine reply;
  for (const char digit : line.substr(0, 3))
    reply.code = reply.code * 10 + static_cast<unsigned>(digit - '0');
  reply.last = line.size() == 3 || line[3] == ' ';
  reply.text = line.substr(std::min<size_t>(line.size(), 4));
  return reply;
}

std::string_view take_enhanced_code(std::string_view& text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return {};
  const size_t subject = number_size(text.substr(2));
  if (subject == 0 || text.size() <= 2 + subject || text[2 + subject] != '.') return {};
  const size_t detail = number_size(text.substr(3 + subject));
  const size_t size = 3 + subject + detail;
  if (detail == 0 || (size < text.size() && text[size] != ' ')) return {};
  const std::string_view code = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  return code;
}

bool is_passable_code(std::string_view code) {
  const std::optional<ReplyLine> reply = parse_reply_line(code);
  if (!reply || !reply->last || reply->code < 400 || reply->code == 421) return false;
  std::string_view rest = reply->text;
  const std::string_view enhanced = take_enhanced_code(rest);
  return enhanced == reply->text && enhanced.starts_with(code.front());
}

std::string_view capability_keyword(std::string_view line) {
  return line.substr(0, line.find_first_of(" ="));
}

bool is_front_capability(std::string_view line) {
  static constexpr std::string_view ours[] = {"STARTTLS", "AUTH", "ETRN", "BURL", "PIPELINING", "ENHANCEDSTATUSCODES"};
  const std::string_view keyword = capability_keyword(line);
  return is_well_formed(line) && !is_private(keyword) && !is_one_of(keyword, ours);
}

bool is_relay_capability(std::string_view line) {
  static constexpr std::string_view ours[] = {"STARTTLS", "AUTH"};
  const std::string_view keyword = capability_keyword(line);
  return is_well_formed(line) && !is_private(keyword) && !is_one_of(keyword, ours);
}

}  // namespace postern::smtp
