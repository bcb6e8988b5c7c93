// SPDX-License-Identifier: GPL-3.0-or-later
#include "text.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

namespace postern::dialog {
namespace {

std::optional<unsigned> number_of(std::string_view text, int base = 10) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes one escape from the front of `text`, which begins behind the backslash.
char take_escape(std::string_view& text, size_t line) {
  static constexpr std::string_view letters = "rnt\\\"0";
  static constexpr std::string_view meanings{"\r\n\t\\\"\0", 6};
  const char letter = text.empty() ? ' ' : text[0];
  if (const size_t known = letters.find(letter); known != letters.npos) {
    text.remove_prefix(1);
    return meanings[known];
  }
  const std::optional<unsigned> octet = letter == 'x' ? number_of(text.substr(1, 2), 16) : std::nullopt;
  if (!octet || text.size() < 3) throw Fault(line, "unknown escape: \\" + std::string(text.substr(0, 3)));
  text.remove_prefix(3);
  return static_cast<char>(*octet);
}

// Behind the end of a repetition whose "{{" was taken, and which may hold others; npos: it has none.
size_t end_of_made(std::string_view text) {
  size_t depth = 1;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("{{")) {
      ++depth;
      i += 2;
    } else if (text.substr(i).starts_with("\"}}")) {
      i += 3;
      if (--depth == 0) return i;
    } else {
      ++i;
    }
  }
  return text.npos;
}

// Takes {{N*"S"}} or {{base64*"S"}} from the front of `text`, which begins behind the braces.
std::string take_made(std::string_view& text, size_t line) {
  const size_t star = text.find("*\"");
  const size_t behind = end_of_made(text);
  const size_t end = behind == text.npos ? behind : behind - 3;
  if (star == text.npos || end == text.npos || end < star + 2)
    throw Fault(line, "write {{N*\"S\"}} or {{base64*\"S\"}}");
  const std::string_view how = text.substr(0, star);
  const std::optional<unsigned> count = number_of(how);
  if (!count && how != "base64") throw Fault(line, "a repetition needs a number");
  const std::string once = octets_of(text.substr(star + 2, end - star - 2), line);
  text.remove_prefix(end + 3);
  if (!count) return base64_of(once);
  std::string all;
  all.reserve(once.size() * *count);
  for (unsigned i = 0; i < *count; ++i)
    all += once;
  return all;
}

// Takes "..." from the front of `text`.
std::string take_quoted(std::string_view& text, size_t line) {
  size_t end = 1;
  while (end < text.size() && text[end] != '"') {
    // A repetition has quotation marks of its own.
    if (text.substr(end).starts_with("{{")) {
      const size_t size = end_of_made(text.substr(end + 2));
      end = size == text.npos ? text.size() : end + 2 + size;
      continue;
    }
    end += end < text.size() && text[end] == '\\' ? 2 : 1;
  }
  if (end >= text.size()) throw Fault(line, "a quotation mark is missing");
  std::string value = octets_of(text.substr(1, end - 1), line);
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string octets_of(std::string_view text, size_t line) {
  std::string octets;
  while (!text.empty()) {
    if (text.starts_with("{{")) {
      text.remove_prefix(2);
      octets += take_made(text, line);
      continue;
    }
    const char c = text[0];
    text.remove_prefix(1);
    octets += c == '\\' ? take_escape(text, line) : c;
  }
  return octets;
}

std::string shown(std::string_view octets) {
  static constexpr size_t size_max = 200;
  if (octets.size() > size_max) {
    return shown(octets.substr(0, size_max / 2)) + " ...(" + std::to_string(octets.size()) + " octets)... " +
           shown(octets.substr(octets.size() - size_max / 2));
  }
  std::string text;
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (octet < 0x20 || octet > 0x7e || c == '\\') {
      char escape[5];
      snprintf(escape, sizeof escape, "\\x%02x", octet);
      text += escape;
    } else {
      text += c;
    }
  }
  return text;
}

std::optional<Duration> duration_of(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> units[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<unsigned> number = number_of(text.substr(0, digits));
  for (const auto& [unit, factor] : units) {
    if (number && text.substr(digits) == unit) return Duration(*number * factor);
  }
  return std::nullopt;
}

std::vector<Word> words_of(std::string_view text, size_t line) {
  std::vector<Word> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return words;
    Word word;
    const size_t key_end = text.find_first_of(" =\"");
    if (key_end != text.npos && text[key_end] == '=') {
      word.key = text.substr(0, key_end);
      text.remove_prefix(key_end + 1);
    }
    if (text.starts_with('"')) {
      word.quoted = true;
      word.value = take_quoted(text, line);
    } else {
      const size_t end = std::min(text.find(' '), text.size());
      word.value = text.substr(0, end);
      text.remove_prefix(end);
    }
    words.push_back(std::move(word));
  }
}

std::string setting(const std::vector<Word>& words, std::string_view key, std::string_view fallback) {
  for (const Word& word : words) {
    if (word.key == key) return word.value;
  }
  return std::string(fallback);
}

bool has_word(const std::vector<Word>& words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [word](const Word& one) { return one.key.empty() && !one.quoted && one.value == word; });
}

std::string base64_of(std::string_view octets) {
  std::string text((octets.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::optional<std::string> octets_of_base64(std::string_view text) {
  std::string octets(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(octets.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = static_cast<size_t>(
      std::count(text.end() - std::min<ptrdiff_t>(2, static_cast<ptrdiff_t>(text.size())), text.end(), '='));
  octets.resize(static_cast<size_t>(size) - padding);
  // EVP_DecodeBlock forgives blanks at the ends; we do not.
  if (base64_of(octets) != text) return std::nullopt;
  return octets;
}

}  // namespace postern::dialog
