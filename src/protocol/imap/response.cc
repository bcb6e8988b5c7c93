// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/response.h"

#include <algorithm>

#include "protocol/imap/command.h"
#include "protocol/line/word.h"

namespace postern::imap {
namespace {

// Longer than any real code but REFERRAL's, which is not passed.
constexpr size_t code_size_max = 256;

Status status_of(std::string_view word) {
  struct Name {
    std::string_view word;
    Status status;
  };
  static constexpr Name names[] = {
      {"OK", Status::Ok}, {"NO", Status::No}, {"BAD", Status::Bad}, {"BYE", Status::Bye}, {"PREAUTH", Status::Preauth}};
  for (const Name& name : names) {
    if (line::same_word(word, name.word)) return name.status;
  }
  return Status::None;
}

// resp-text = ["[" resp-text-code "]" SP] text
void split_text(std::string_view text, Response& response) {
  const size_t close = text.starts_with('[') ? text.find(']') : text.npos;
  if (close != text.npos) {
    std::string_view code = text.substr(1, close - 1);
    response.code = line::take_word(code);
    response.code_arguments = code;
    text.remove_prefix(close + 1);
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  response.text = text;
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_code_char(char c) {
  return is_printable(c) && c != ']';
}

bool is_letter_or_dash(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
}

}  // namespace

Response parse_response(std::string_view line) {
  Response response;
  if (line == "+" || line.starts_with("+ ")) {
    response.kind = ResponseKind::Continue;
    response.text = line.substr(std::min<size_t>(line.size(), 2));
    return response;
  }
  const std::string_view first = line::take_word(line);
  const std::string_view word = line::take_word(line);
  response.status = status_of(word);
  if (first == "*" && !word.empty()) {
    response.kind = ResponseKind::Untagged;
  } else if (is_tag(first) && response.status != Status::None && response.status != Status::Bye &&
             response.status != Status::Preauth) {
    response.kind = ResponseKind::Tagged;
    response.tag = first;
  } else {
    return {};
  }
  if (response.status == Status::None) {
    response.word = word;
    response.text = line;
  } else {
    split_text(line, response);
  }
  return response;
}

bool has_capability(std::string_view capabilities, std::string_view word) {
  while (!capabilities.empty()) {
    if (line::same_word(line::take_word(capabilities), word)) return true;
  }
  return false;
}

bool is_passable_code(std::string_view code) {
  if (code.empty() || code.size() > code_size_max) return false;
  const std::string_view name = code.substr(0, code.find(' '));
  return !name.empty() && std::all_of(name.begin(), name.end(), is_letter_or_dash) &&
         std::all_of(code.begin(), code.end(), is_code_char);
}

std::string passable_capabilities(std::string_view capabilities) {
  if (!std::all_of(capabilities.begin(), capabilities.end(), is_code_char)) return {};
  std::string list;
  while (!capabilities.empty()) {
    const std::string_view word = line::take_word(capabilities);
    if (word.empty() || line::same_word(word, "STARTTLS") || line::same_word(word, "LOGINDISABLED")) continue;
    if (!list.empty()) list.push_back(' ');
    list.append(word);
  }
  return list;
}

bool is_front_capability(std::string_view word) {
  static constexpr std::string_view ours[] = {
      "IMAP4rev1",       "SASL-IR", "LITERAL+",      "LITERAL-",      "ID", "STARTTLS", "AUTH", "LOGIN",
      "LOGIN-REFERRALS", "XCLIENT", "LOGINDISABLED", "UNAUTHENTICATE"};
  if (word.empty() || word.size() > code_size_max || !std::all_of(word.begin(), word.end(), is_code_char)) return false;
  const std::string_view name = word.substr(0, word.find('='));
  return word.find(' ') == word.npos && std::none_of(std::begin(ours), std::end(ours),
                                                     [&](std::string_view one) { return line::same_word(name, one); });
}

}  // namespace postern::imap
