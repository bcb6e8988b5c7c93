// SPDX-License-Identifier: GPL-3.0-or-later
// Document: a TOML text as a plain tree with places, so that only one source file has to know toml++.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// Line and column, both from 1.
struct Place {
  uint32_t line = 0;
  uint32_t column = 0;
};

struct Entry;

struct Value {
  enum class Kind : uint8_t { Table, List, Text, Integer, Float, Bool, Date };

  Kind kind = Kind::Table;
  Place place;
  std::string text;            // Text: the bytes; Integer, Float, Bool: as a person would write it
  int64_t integer = 0;         // Integer
  bool truth = false;          // Bool
  std::vector<Value> items;    // List
  std::vector<Entry> entries;  // Table, in the order of the file
};

struct Entry {
  std::string key;
  Place place;
  Value value;
};

struct SyntaxError {
  Place place;
  std::string text;  // the parser's words
};

struct Document {
  Value root;                        // a Table
  std::optional<SyntaxError> error;  // then `root` is empty
};

// Tables and lists that are nested deeper are cut off: no setting lives there.
inline constexpr int depth_max = 8;

Document parse_document(std::string_view text);

}  // namespace postern::config
