// SPDX-License-Identifier: GPL-3.0-or-later
// The one place that knows toml++.
#include "config/document.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 asserts what a file can break: the heading [.tls] would end the process at a reload, and with NDEBUG the
// same becomes a promise to the optimizer. Without the assertions it explains such a heading like any other mistake;
// the fuzz target watches over that.
#undef NDEBUG
#define TOML_ASSERT(promise) static_assert(true)
#include <toml++/toml.h>

namespace postern::config {
namespace {

// toml++ 3.3 is undefined for letters such as e with an accent outside of texts: its test for white space beyond ASCII
// runs into code that it calls unreachable. So it never sees one. Each byte beyond ASCII travels as a character of a
// private plane, where it does not look for anything, and is turned back in keys, texts and error messages. This also
// lets paths be what they are to the kernel, bytes in no encoding.
constexpr std::string_view mask_head = "\xf3\xb0";  // U+F0080 to U+F00FF are F3 B0 82 80 to F3 B0 83 BF

std::string mask(std::string_view text) {
  std::string masked;
  masked.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      masked += c;
      continue;
    }
    masked += mask_head;
    masked += static_cast<char>(0x80 | (byte >> 6));
    masked += static_cast<char>(0x80 | (byte & 0x3f));
  }
  return masked;
}

std::string unmask(std::string_view masked) {
  std::string text;
  text.reserve(masked.size());
  for (size_t i = 0; i < masked.size(); ++i) {
    const auto low = [&](size_t at) { return static_cast<unsigned char>(masked[at]) & 0x3f; };
    // A character that was written as \U000F00E9 is taken for a masked byte as well; no value of ours may hold either.
    if (masked.substr(i).starts_with(mask_head) && i + 3 < masked.size() && (low(i + 2) | 1) == 3) {
      text += static_cast<char>((low(i + 2) << 6) | low(i + 3));
      i += 3;
    } else {
      text += masked[i];
    }
  }
  return text;
}

Place place_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

template <typename Number>
std::string digits(Number number) {
  char text[40];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  return error == std::errc() ? std::string(text, end) : std::string("?");
}

Value convert(const toml::node& node, int depth);

void convert_table(const toml::table& table, int depth, Value& value) {
  if (depth == depth_max) return;
  for (const auto& [key, node] : table) {
    value.entries.push_back({unmask(key.str()), place_of(key.source()), convert(node, depth + 1)});
  }
  // toml++ sorts by name; people read by line.
  std::stable_sort(value.entries.begin(), value.entries.end(), [](const Entry& left, const Entry& right) {
    return std::tie(left.place.line, left.place.column) < std::tie(right.place.line, right.place.column);
  });
}

void convert_list(const toml::array& array, int depth, Value& value) {
  if (depth == depth_max) return;
  for (const toml::node& node : array)
    value.items.push_back(convert(node, depth + 1));
}

Value convert(const toml::node& node, int depth) {
  Value value;
  value.place = place_of(node.source());
  if (const toml::table* table = node.as_table()) {
    convert_table(*table, depth, value);
  } else if (const toml::array* array = node.as_array()) {
    value.kind = Value::Kind::List;
    convert_list(*array, depth, value);
  } else if (const auto* text = node.as_string()) {
    value.kind = Value::Kind::Text;
    value.text = unmask(text->get());
  } else if (const auto* integer = node.as_integer()) {
    value.kind = Value::Kind::Integer;
    value.integer = integer->get();
    value.text = digits(value.integer);
  } else if (const auto* real = node.as_floating_point()) {
    value.kind = Value::Kind::Float;
    value.text = digits(real->get());
  } else if (const auto* truth = node.as_boolean()) {
    value.kind = Value::Kind::Bool;
    value.truth = truth->get();
    value.text = value.truth ? "true" : "false";
  } else {
    value.kind = Value::Kind::Date;
  }
  return value;
}

}  // namespace

Document parse_document(std::string_view text) {
  Document document;
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  const std::string masked = mask(text);
  const toml::parse_result result = toml::parse(std::string_view(masked));
  if (!result) {
    const toml::parse_error& error = result.error();
    document.error = SyntaxError{place_of(error.source()), unmask(error.description())};
    return document;
  }
  document.root = convert(result.table(), 0);
  return document;
}

}  // namespace postern::config
