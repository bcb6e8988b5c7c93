// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/line/string.h"

#include <optional>

#include "protocol/line/literal.h"

namespace postern::line {

std::string String::text() const {
  // The memory never moves while it fills: secret() would leave a copy behind.
  std::string text;
  text.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (escaped && raw[i] == '\\') ++i;
    text.push_back(raw[i]);
  }
  return text;
}

Secret String::secret() const {
  std::string bytes = text();
  return Secret::take(bytes);
}

Parsed take_quoted(std::string_view& text, String& string) {
  bool escaped = false;
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0' || c == '\r' || c == '\n') return Parsed::No;
    if (c == '"') {
      string = {text.substr(1, i - 1), escaped};
      text.remove_prefix(i + 1);
      return Parsed::Yes;
    }
    if (c != '\\') continue;
    escaped = true;
    if (++i == text.size() || (text[i] != '"' && text[i] != '\\')) return Parsed::No;
  }
  return Parsed::No;
}

Parsed take_literal(std::string_view& text, String& string) {
  const size_t mark_end = text.find('}') + 1;
  const std::optional<LiteralMark> mark = literal_at_end(text.substr(0, mark_end));
  if (mark_end == 0 || !mark) return Parsed::No;
  text.remove_prefix(mark_end);
  if (text.empty()) return Parsed::WantsLiteral;
  if (text.starts_with('\r')) text.remove_prefix(1);
  if (!text.starts_with('\n') || text.size() - 1 < mark->size) return Parsed::No;
  string = {text.substr(1, mark->size)};
  text.remove_prefix(1 + mark->size);
  return string.raw.find('\0') == std::string_view::npos ? Parsed::Yes : Parsed::No;
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

}  // namespace postern::line
