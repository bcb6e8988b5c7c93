// SPDX-License-Identifier: GPL-3.0-or-later
// The one place that knows toml++.
#include "config/document.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace postern::config {
namespace {

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
    value.entries.push_back({std::string(key.str()), place_of(key.source()), convert(node, depth + 1)});
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
    value.text = text->get();
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
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    document.error = SyntaxError{place_of(error.source()), std::string(error.description())};
    return document;
  }
  document.root = convert(result.table(), 0);
  return document;
}

}  // namespace postern::config
