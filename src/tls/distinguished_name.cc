// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/distinguished_name.h"

#include <array>

#include "tls/der.h"
#include "tls/digest.h"

namespace postern::tls {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view oid_common_name = "\x55\x04\x03"sv;

// The names that RFC 4514, section 3, gives, and two that are met in certificates of persons, as OpenSSL writes them.
constexpr std::array<std::array<std::string_view, 2>, 11> attribute_names = {{
    {oid_common_name, "CN"},
    {"\x55\x04\x05"sv, "serialNumber"},
    {"\x55\x04\x06"sv, "C"},
    {"\x55\x04\x07"sv, "L"},
    {"\x55\x04\x08"sv, "ST"},
    {"\x55\x04\x09"sv, "street"},
    {"\x55\x04\x0a"sv, "O"},
    {"\x55\x04\x0b"sv, "OU"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"sv, "UID"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"sv, "DC"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"sv, "emailAddress"},
}};

// "1.2.840.113549": numbers of seven bits a byte, the first two in one.
std::string dotted(std::string_view oid) {
  std::string text;
  uint64_t number = 0;
  for (const char c : oid) {
    if (number >> 57 != 0) return "";  // no such number was ever given out
    number = number << 7 | (static_cast<uint8_t>(c) & 0x7f);
    if ((static_cast<uint8_t>(c) & 0x80) != 0) continue;
    if (text.empty()) {
      const uint64_t first = number < 80 ? number / 40 : 2;
      text = std::to_string(first) + "." + std::to_string(number - first * 40);
    } else {
      text += "." + std::to_string(number);
    }
    number = 0;
  }
  return text;
}

void append_utf8(std::string& text, unsigned character) {
  if (character < 0x80) {
    text += static_cast<char>(character);
  } else if (character < 0x800) {
    text += static_cast<char>(0xc0 | character >> 6);
    text += static_cast<char>(0x80 | (character & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | character >> 12);
    text += static_cast<char>(0x80 | (character >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (character & 0x3f));
  }
}

// Length of the UTF-8 sequence at the front of `text` (RFC 3629, section 4); 0: it is none.
size_t utf8_size(std::string_view text) {
  const auto byte = [text](size_t index) { return static_cast<uint8_t>(text[index]); };
  const uint8_t first = byte(0);
  const size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xe0 && byte(1) < 0xa0) return 0;   // a longer form than it needs
  if (first == 0xed && byte(1) >= 0xa0) return 0;  // half of a UTF-16 pair
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;  // beyond Unicode
  return size;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = utf8_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

// The string types of X.520 in UTF-8; nullopt: none of them, or not what its type promises.
std::optional<std::string> text_of(uint8_t tag, std::string_view content) {
  if (tag == Der::utf8_string) return is_utf8(content) ? std::optional(std::string(content)) : std::nullopt;
  if (tag == Der::printable_string || tag == Der::ia5_string || tag == Der::numeric_string ||
      tag == Der::visible_string) {
    for (const char c : content) {
      if (static_cast<uint8_t>(c) >= 0x80) return std::nullopt;
    }
    return std::string(content);
  }
  std::string text;
  if (tag == Der::t61_string) {  // in practice Latin-1
    for (const char c : content)
      append_utf8(text, static_cast<uint8_t>(c));
    return text;
  }
  if (tag != Der::bmp_string || content.size() % 2 != 0) return std::nullopt;
  for (size_t at = 0; at < content.size(); at += 2) {
    const unsigned character =
        static_cast<unsigned>(static_cast<uint8_t>(content[at]) << 8 | static_cast<uint8_t>(content[at + 1]));
    if (character >= 0xd800 && character < 0xe000) return std::nullopt;
    append_utf8(text, character);
  }
  return text;
}

bool is_control(char c) {
  return static_cast<uint8_t>(c) < 0x20 || c == 0x7f;
}

// RFC 4514, section 2.4.
std::string escape(std::string_view value) {
  std::string text;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool first = i == 0;
    const bool last = i + 1 == value.size();
    if (is_control(c)) {
      text += "\\" + hex(value.substr(i, 1));
      continue;
    }
    if ((first && (c == '#' || c == ' ')) || (last && c == ' ') || "\"+,;<>\\"sv.find(c) != std::string_view::npos) {
      text += '\\';
    }
    text += c;
  }
  return text;
}

// One "CN=Joe". An attribute without a name, or with a value that is no text, is written as the hex form of its DER.
std::optional<std::string> read_attribute(Der& attribute, DistinguishedName& name) {
  const std::string_view oid = attribute.take(Der::oid);
  const uint8_t tag = attribute.tag();
  const std::string_view whole = attribute.take_whole(tag);
  if (oid.empty() || !attribute.ok() || !attribute.at_end()) return std::nullopt;
  const std::optional<std::string> text = text_of(tag, Der(whole).take(tag));
  if (oid == oid_common_name) name.common_name = text && is_shown_text(*text) ? *text : std::string();
  for (const auto& [known, word] : attribute_names) {
    if (oid == known) return std::string(word) + "=" + (text ? escape(*text) : "#" + hex(whole));
  }
  const std::string number = dotted(oid);
  if (number.empty()) return std::nullopt;
  return number + "=#" + hex(whole);
}

}  // namespace

std::optional<DistinguishedName> read_name(std::string_view rdns) {
  DistinguishedName name;
  Der all(rdns);
  while (!all.at_end()) {  // the most specific comes last, and is written first
    Der rdn(all.take(Der::set));
    std::string attributes;
    while (!rdn.at_end()) {
      Der attribute(rdn.take(Der::sequence));
      std::optional<std::string> text = read_attribute(attribute, name);
      if (!text) return std::nullopt;
      attributes += (attributes.empty() ? "" : "+") + *text;
    }
    if (attributes.empty()) return std::nullopt;
    name.text = attributes + (name.text.empty() ? "" : ",") + name.text;
  }
  if (!all.ok()) return std::nullopt;
  return name;
}

bool is_shown_text(std::string_view text) {
  if (text.empty() || !is_utf8(text)) return false;
  for (const char c : text) {
    if (is_control(c)) return false;
  }
  return true;
}

}  // namespace postern::tls
