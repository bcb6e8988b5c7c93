// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/pop3/response.h"

#include <algorithm>
#include <iterator>

#include "protocol/line/word.h"

namespace postern::pop3 {
namespace {

// Longer than any code there is.
constexpr size_t code_size_max = 64;

bool is_code_char(char c) {
  return c > 0x20 && c < 0x7f && c != ']';
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

// text = *schar / "[" resp-code "]" *CHAR
void split_text(std::string_view text, Response& response) {
  const size_t close = text.starts_with('[') ? text.find(']') : text.npos;
  if (close != text.npos && is_passable_code(text.substr(1, close - 1))) {
    response.code = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  response.text = text;
}

}  // namespace

Response parse_response(std::string_view line) {
  Response response;
  const std::string_view word = line::take_word(line);
  if (word == "+") {
    response.kind = ResponseKind::Continue;
    response.text = line;
    return response;
  }
  if (line::same_word(word, "+OK")) {
    response.kind = ResponseKind::Ok;
  } else if (line::same_word(word, "-ERR")) {
    response.kind = ResponseKind::Err;
  } else {
    return response;
  }
  split_text(line, response);
  return response;
}

bool is_passable_code(std::string_view code) {
  return !code.empty() && code.size() <= code_size_max && std::all_of(code.begin(), code.end(), is_code_char);
}

bool has_capability(std::string_view capabilities, std::string_view name) {
  while (!capabilities.empty()) {
    std::string_view line = line::take_line(capabilities);
    if (line::same_word(line::take_word(line), name)) return true;
  }
  return false;
}

bool has_mechanism(std::string_view capabilities, std::string_view mechanism) {
  while (!capabilities.empty()) {
    std::string_view line = line::take_line(capabilities);
    if (!line::same_word(line::take_word(line), "SASL")) continue;
    while (!line.empty()) {
      if (line::same_word(line::take_word(line), mechanism)) return true;
    }
  }
  return false;
}

bool is_front_capability(std::string_view line) {
  // LANG works before the login only (RFC 6856, section 3), and there the mail program talks to us.
  static constexpr std::string_view ours[] = {"SASL", "STLS",       "USER",           "APOP",       "XCLIENT",
                                              "LANG", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "IMPLEMENTATION"};
  if (line.size() > response_octets_max - 2 || !std::all_of(line.begin(), line.end(), is_printable)) return false;
  const std::string_view name = line::take_word(line);
  // A dot in front would need another one (RFC 1939, section 3), and no capability begins so (RFC 2449, section 3).
  return !name.empty() && !name.starts_with('.') &&
         std::none_of(std::begin(ours), std::end(ours),
                      [&](std::string_view one) { return line::same_word(name, one); });
}

}  // namespace postern::pop3
