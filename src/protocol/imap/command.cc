// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/command.h"

#include <algorithm>

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
    if (text_.starts_with('"')) return line::take_quoted(text_, argument);
    if (text_.starts_with('{')) return line::take_literal(text_, argument);
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
