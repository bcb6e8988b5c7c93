// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sieve/text.h"

#include <algorithm>
#include <iterator>

#include "protocol/line/word.h"

namespace postern::sieve {
namespace {

// Longer than any real code.
constexpr size_t code_size_max = 64;
// A capability's name is a word, not a text.
constexpr size_t name_size_max = 64;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool is_code_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/' ||
         c == '_' || c == '.';
}

Status status_of(std::string_view word) {
  if (line::same_word(word, "OK")) return Status::Ok;
  if (line::same_word(word, "NO")) return Status::No;
  if (line::same_word(word, "BYE")) return Status::Bye;
  return Status::None;
}

// resp-code-ext may hold strings and further parentheses behind its name (RFC 5804, section 4, extension-data).
bool take_code(std::string_view& text, std::string_view& code) {
  if (!text.starts_with('(')) return true;
  text.remove_prefix(1);
  const auto name_end = std::find_if_not(text.begin(), text.end(), is_code_char);
  code = text.substr(0, static_cast<size_t>(name_end - text.begin()));
  text.remove_prefix(code.size());
  for (size_t depth = 1; !text.empty();) {
    if (text.front() == '"' || text.front() == '{') {
      String argument;
      if (!take_string(text, argument)) return false;
      continue;
    }
    if (text.front() == '(') ++depth;
    if (text.front() == ')') --depth;
    text.remove_prefix(1);
    if (depth == 0) return true;
  }
  return false;
}

}  // namespace

// --- Strings.

bool take_string(std::string_view& text, String& string) {
  if (text.starts_with('"')) return line::take_quoted(text, string) == line::Parsed::Yes;
  if (text.starts_with('{')) return line::take_literal(text, string) == line::Parsed::Yes;
  return false;
}

bool is_string(std::string_view text, String& string) {
  return take_string(text, string) && is_nothing(text);
}

bool is_nothing(std::string_view text) {
  return text.find_first_not_of(' ') == text.npos;
}

void append_string(std::string& out, std::string_view text, LiteralForm form) {
  const size_t size = text.size() + static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                                                      [](char c) { return c == '"' || c == '\\'; }));
  if (size <= quoted_size_max) return line::append_quoted(out, text);
  out.append("{").append(std::to_string(text.size()));
  out.append(form == LiteralForm::OfClient ? "+}\r\n" : "}\r\n").append(text);
}

// --- Answers.

Response parse_response(std::string_view line) {
  Response response;
  const Status status = status_of(line::take_word(line));
  if (status == Status::None || !take_code(line, response.code)) return {};
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (!take_string(line, response.text)) response.text = {line};
  response.status = status;
  return response;
}

bool is_passable_code(std::string_view code) {
  return !code.empty() && code.size() <= code_size_max && std::all_of(code.begin(), code.end(), is_code_char);
}

// --- Capabilities.

std::optional<Capability> parse_capability(std::string_view line) {
  String name, value;
  if (!take_string(line, name)) return std::nullopt;
  Capability capability{name.text(), std::nullopt};
  if (capability.name.empty() || capability.name.size() > name_size_max) return std::nullopt;
  if (line.starts_with(' ') && !is_nothing(line)) {
    line.remove_prefix(1);
    if (!take_string(line, value)) return std::nullopt;
    capability.value = value.text();
  }
  const auto fits = [](std::string_view text) { return std::none_of(text.begin(), text.end(), is_control); };
  if (!is_nothing(line) || !fits(capability.name) || !fits(capability.value.value_or(std::string())))
    return std::nullopt;
  return capability;
}

std::string write_capability(const Capability& capability) {
  std::string line;
  line::append_quoted(line, capability.name);
  if (capability.value) {
    line.push_back(' ');
    line::append_quoted(line, *capability.value);
  }
  return line;
}

bool is_front_capability(std::string_view name) {
  // OWNER tells who is logged in; UNAUTHENTICATE would end a login that the gate cannot take back; XCLIENT is for
  // proxies.
  static constexpr std::string_view ours[] = {"IMPLEMENTATION", "SASL",           "STARTTLS",
                                              "OWNER",          "UNAUTHENTICATE", "XCLIENT"};
  return std::none_of(std::begin(ours), std::end(ours),
                      [&](std::string_view one) { return line::same_word(name, one); });
}

}  // namespace postern::sieve
