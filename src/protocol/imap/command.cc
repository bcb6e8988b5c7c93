// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/command.h"

#include <algorithm>

#include "protocol/line/literal.h"
#include "protocol/line/word.h"

namespace postern::imap {
namespace {

constexpr size_t id_pairs_max = 30;
constexpr size_t id_name_size_max = 30;
constexpr size_t id_value_size_max = 1024;

bool is_tag_char(char c) {
  return c > 0x20 && c < 0x7f && std::string_view("(){%*\"\\+").find(c) == std::string_view::npos;
}

bool is_lenient_atom_char(char c) {
  const unsigned char byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '"' && c != '{';
}

// Walks over the arguments from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }

  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool take_nil() {
    if (!line::same_word(text_.substr(0, 3), "NIL")) return false;
    text_.remove_prefix(3);
    return true;
  }

  Parsed astring(Argument& argument) { return starts_string() ? string(argument) : atom(argument); }

  Parsed string(Argument& argument) {
    if (text_.starts_with('"')) return quoted(argument);
    if (text_.starts_with('{')) return literal(argument);
    return Parsed::No;
  }

 private:
  bool starts_string() const { return text_.starts_with('"') || text_.starts_with('{'); }

  Parsed atom(Argument& argument) {
    const auto end = std::find_if_not(text_.begin(), text_.end(), is_lenient_atom_char);
    const size_t size = static_cast<size_t>(end - text_.begin());
    argument = {text_.substr(0, size)};
    text_.remove_prefix(size);
    return size == 0 ? Parsed::No : Parsed::Yes;
  }

  // Only \" and \\ are escapes. Octets above 127 are not RFC 3501's, but RFC 9051's, and what mail programs send.
  Parsed quoted(Argument& argument) {
    bool escaped = false;
    for (size_t i = 1; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\0' || c == '\r' || c == '\n') return Parsed::No;
      if (c == '"') {
        argument = {text_.substr(1, i - 1), escaped};
        text_.remove_prefix(i + 1);
        return Parsed::Yes;
      }
      if (c != '\\') continue;
      escaped = true;
      if (++i == text_.size() || (text_[i] != '"' && text_[i] != '\\')) return Parsed::No;
    }
    return Parsed::No;
  }

  // The octets are taken as they are, but for NUL, which no string of IMAP's may hold (section 9, CHAR8).
  Parsed literal(Argument& argument) {
    const size_t mark_end = text_.find('}') + 1;
    const std::optional<line::LiteralMark> mark = line::literal_at_end(text_.substr(0, mark_end));
    if (mark_end == 0 || !mark) return Parsed::No;
    text_.remove_prefix(mark_end);
    if (text_.empty()) return Parsed::WantsLiteral;
    take('\r');
    if (!take('\n') || text_.size() < mark->size) return Parsed::No;
    argument = {text_.substr(0, mark->size)};
    text_.remove_prefix(mark->size);
    return argument.raw.find('\0') == std::string_view::npos ? Parsed::Yes : Parsed::No;
  }

  std::string_view text_;
};

// name SP value; only the value may be NIL.
Parsed parse_id_pair(Cursor& cursor, IdPair& pair) {
  if (const Parsed parsed = cursor.string(pair.name); parsed != Parsed::Yes) return parsed;
  if (pair.name.raw.size() > id_name_size_max || !cursor.take(' ')) return Parsed::No;
  if (cursor.take_nil()) return Parsed::Yes;
  if (const Parsed parsed = cursor.string(pair.value); parsed != Parsed::Yes) return parsed;
  return pair.value.raw.size() > id_value_size_max ? Parsed::No : Parsed::Yes;
}

}  // namespace

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= tag_size_max && std::all_of(tag.begin(), tag.end(), is_tag_char);
}

std::string Argument::text() const {
  // The memory never moves while it fills: secret() would leave a copy behind.
  std::string text;
  text.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (escaped && raw[i] == '\\') ++i;
    text.push_back(raw[i]);
  }
  return text;
}

Secret Argument::secret() const {
  std::string bytes = text();
  return Secret::take(bytes);
}

Parsed parse_login(std::string_view arguments, LoginArguments& login) {
  Cursor cursor(arguments);
  if (const Parsed parsed = cursor.astring(login.user); parsed != Parsed::Yes) return parsed;
  if (!cursor.take(' ')) return Parsed::No;
  if (const Parsed parsed = cursor.astring(login.password); parsed != Parsed::Yes) return parsed;
  return cursor.at_end() ? Parsed::Yes : Parsed::No;
}

Parsed parse_id(std::string_view arguments, std::vector<IdPair>& pairs) {
  Cursor cursor(arguments);
  if (cursor.take_nil()) return cursor.at_end() ? Parsed::Yes : Parsed::No;
  if (!cursor.take('(')) return Parsed::No;
  while (!cursor.take(')')) {
    if (pairs.size() == id_pairs_max || (!pairs.empty() && !cursor.take(' '))) return Parsed::No;
    if (const Parsed parsed = parse_id_pair(cursor, pairs.emplace_back()); parsed != Parsed::Yes) return parsed;
  }
  return cursor.at_end() ? Parsed::Yes : Parsed::No;
}

Parsed parse_nothing(std::string_view arguments) {
  return arguments.find_first_not_of(' ') == arguments.npos ? Parsed::Yes : Parsed::No;
}

}  // namespace postern::imap
