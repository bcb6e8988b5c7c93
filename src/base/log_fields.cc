// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/log_fields.h"

#include <algorithm>

namespace postern {
namespace {

// Of a value that begins with a quotation mark: up to the one that ends it.
size_t quoted_size(std::string_view text) {
  size_t i = 1;
  while (i < text.size() && text[i] != '"')
    i += text[i] == '\\' ? 2 : 1;
  return std::min(i + 1, text.size());
}

char nibble(char digit) {
  return static_cast<char>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

}  // namespace

LogFields::LogFields(const LogLine& line) : line_(line) {
  const std::string_view text = line.text();
  event_ = text.substr(0, text.find(' '));
  rest_ = text.substr(event_.size());
}

std::optional<LogFields::Field> LogFields::next() {
  if (rest_.empty()) return std::nullopt;
  rest_.remove_prefix(1);  // the blank
  Field field;
  field.key = rest_.substr(0, rest_.find('='));
  rest_.remove_prefix(std::min(field.key.size() + 1, rest_.size()));
  const size_t size = rest_.starts_with('"') ? quoted_size(rest_) : std::min(rest_.find(' '), rest_.size());
  field.written = rest_.substr(0, size);
  field.is_number = line_.is_number(index_++);
  rest_.remove_prefix(size);
  return field;
}

std::string LogFields::Field::value() const {
  if (!written.starts_with('"')) return std::string(written);
  const std::string_view inner = written.substr(1, written.size() - 2);
  std::string bytes;
  bytes.reserve(inner.size());
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\') {
      bytes += inner[i];
    } else if (inner[i + 1] == 'x') {
      bytes += static_cast<char>(nibble(inner[i + 2]) << 4 | nibble(inner[i + 3]));
      i += 3;
    } else {
      ++i;
      bytes += inner[i] == 'n' ? '\n' : inner[i];
    }
  }
  return bytes;
}

}  // namespace postern
