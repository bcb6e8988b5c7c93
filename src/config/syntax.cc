// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/syntax.h"

#include <algorithm>

#include "config/words.h"

namespace postern::config {
namespace {

// Each costs two more passes over the text; and who makes more of them has misunderstood the form, not a line.
constexpr int mistakes_max = 20;

// The bytes of one line, without its end.
struct Line {
  size_t begin = 0;
  size_t size = 0;
};

Line find_line(std::string_view text, uint32_t number) {
  size_t begin = 0;
  for (uint32_t i = 1; i < number; ++i) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) return {text.size(), 0};
    begin = end + 1;
  }
  return {begin, std::min(text.find('\n', begin), text.size()) - begin};
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view blank = " \t\r";
  const size_t begin = line.find_first_not_of(blank);
  if (begin == line.npos) return {};
  return line.substr(begin, line.find_last_not_of(blank) - begin + 1);
}

// The parser's words without "Error while parsing ...: ", which only says where in itself it stood.
std::string_view reason(std::string_view line, std::string_view words) {
  // It sees the end of the line as a character that a text may not hold.
  if (words.find("control characters") != words.npos && std::count(line.begin(), line.end(), '"') % 2 == 1) {
    return "the closing quote is missing";
  }
  const size_t colon = words.find(": ");
  return words.starts_with("Error while parsing") && colon != words.npos ? words.substr(colon + 2) : words;
}

std::string remedy(std::string_view line, std::string_view words) {
  if (words.find("cannot redefine") != words.npos) {
    return line.starts_with('[')
               ? "Put both into one section; where several may stand, each heading has double brackets."
               : "Take one of the two out.";
  }
  if (line.starts_with('[')) return "A heading is [name] or [[name]], alone on its line.";
  if (line.find('=') != line.npos) return "All but numbers, true and false stands in double quotes, lists in [ ].";
  return "A line is a heading such as [gate], a setting such as reactors = 4, or a comment after #.";
}

// Whether the file without this line is what its author meant: one setting, begun and ended here.
bool stands_alone(std::string_view text, const Line& line) {
  const std::string_view content = trimmed(text.substr(line.begin, line.size));
  if (content.empty() || content.starts_with('[')) return false;
  if (content.find("\"\"\"") != content.npos || content.find("'''") != content.npos) return false;
  for (const std::string_view pair : {std::string_view("[]"), std::string_view("{}")}) {
    if (std::count(content.begin(), content.end(), pair[0]) != std::count(content.begin(), content.end(), pair[1])) {
      return false;
    }
  }
  // What stands before is complete, so the mistake did not begin further up.
  return !parse_document(text.substr(0, line.begin)).error;
}

}  // namespace

Value read_syntax(std::string_view text, Draft& draft) {
  std::string rest(text);
  for (int mistakes = 0; mistakes < mistakes_max; ++mistakes) {
    Document document = parse_document(rest);
    if (!document.error) return std::move(document.root);
    draft.whole = false;
    const SyntaxError& error = *document.error;
    const Line line = find_line(rest, error.place.line);
    const std::string_view content = trimmed(std::string_view(rest).substr(line.begin, line.size));
    const bool goes_on = stands_alone(rest, line) && mistakes + 1 < mistakes_max;
    draft.problem(error.place, (content.empty() ? "This" : quoted(content)) +
                                   " is not TOML: " + printable(reason(content, error.text)) + ". " +
                                   remedy(content, error.text) + (goes_on ? "" : " The settings were not checked."));
    if (!goes_on) return {};
    rest.replace(line.begin, line.size, line.size, ' ');
  }
  return {};
}

}  // namespace postern::config
