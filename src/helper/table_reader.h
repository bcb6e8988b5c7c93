// SPDX-License-Identifier: GPL-3.0-or-later
// TableReader: the settings of one table of postern-auth.toml, taken by name and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "config/document.h"

namespace postern::helper {

// What is wrong with the file, and where.
struct TableProblem {
  config::Place place;
  std::string text;
};

// The longest path of a Unix socket (sun_path of unix(7)).
inline constexpr size_t socket_path_max = 107;

// What was asked for by nobody is unknown; what does not fit is a problem, and the variable keeps its default.
class TableReader {
 public:
  // `heading`: "[[source]]", or empty for the top of the file. `table` and `problems` must outlive the reader.
  TableReader(const config::Value& table, std::string heading, std::vector<TableProblem>& problems);

  // The value of a setting, which is known from now on; null: it is not in the file.
  const config::Value* take(std::string_view key);
  const config::Value& table() const { return table_; }

  // "KEY in HEADING WHAT."
  void wrong(const config::Value& value, std::string_view key, const std::string& what);
  // "... must be WANTED; found ..."
  void wrong_kind(const config::Value& value, std::string_view key, const std::string& wanted);
  // "HEADING: WHAT.", at its place.
  void wrong_table(const std::string& what);
  // "HEADING lacks KEY. Write, for example: EXAMPLE"
  void missing(std::string_view key, const std::string& example);

  void text(std::string_view key, std::string& into);
  // Says nothing of what was found: it may be a password without its quotes.
  void secret(std::string_view key, Secret& into);
  // The first line of a file that only its owner and group may read: where a password does not stand in the
  // configuration itself.
  void secret_file(std::string_view key, Secret& into);
  void path(std::string_view key, std::string& into, size_t size_max = 4095);
  void truth(std::string_view key, bool& into);
  void number(std::string_view key, uint32_t min, uint32_t max, uint32_t& into);
  void duration(std::string_view key, Duration min, Duration max, Duration& into);
  void memory(std::string_view key, uint32_t min_kib, uint32_t max_kib, uint32_t& into_kib);
  // One of the words; gives its index.
  void choice(std::string_view key, std::span<const std::string_view> words, size_t& into);
  // A text, or a list of texts.
  void texts(std::string_view key, std::vector<std::string>& into);

  // Everything that was asked for is taken: the rest is unknown.
  void finish();

 private:
  struct Unit;
  void amount(std::string_view key, std::span<const Unit> units, uint64_t min, uint64_t max, const std::string& wanted,
              uint64_t& into);

  const config::Value& table_;
  const std::string heading_;
  std::vector<TableProblem>& problems_;
  std::vector<std::string_view> known_;
};

// What stands there, for a sentence: a text in quotes, a number, "a list".
std::string found(const config::Value& value);

}  // namespace postern::helper
