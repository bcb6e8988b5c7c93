// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/table_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/files.h"
#include "config/words.h"

namespace postern::helper {

using config::Value;

struct TableReader::Unit {
  std::string_view word;
  uint64_t amount;
};

namespace {

constexpr size_t secret_file_size_max = 4096;

}  // namespace

std::string found(const Value& value) {
  switch (value.kind) {
    case Value::Kind::Table: return "a table";
    case Value::Kind::List: return "a list";
    case Value::Kind::Text: return config::quoted(value.text);
    case Value::Kind::Integer:
    case Value::Kind::Float:
    case Value::Kind::Bool: return value.text;
    case Value::Kind::Date: return "a date";
  }
  return "something else";
}

TableReader::TableReader(const Value& table, std::string heading, std::vector<TableProblem>& problems)
    : table_(table), heading_(std::move(heading)), problems_(problems) {}

const Value* TableReader::take(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (const config::Entry& entry : table_.entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void TableReader::wrong(const Value& value, std::string_view key, const std::string& what) {
  const std::string end = what.ends_with('?') ? "" : ".";
  problems_.push_back({value.place, std::string(key) + (heading_.empty() ? "" : " in " + heading_) + " " + what + end});
}

void TableReader::wrong_kind(const Value& value, std::string_view key, const std::string& wanted) {
  wrong(value, key, "must be " + wanted + "; found " + found(value));
}

void TableReader::text(std::string_view key, std::string& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Text || value->text.empty()) return wrong_kind(*value, key, "a text in quotes");
  into = value->text;
}

void TableReader::secret(std::string_view key, Secret& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Text || value->text.empty()) return wrong(*value, key, "must be a text in quotes");
  into = Secret(value->text);
}

void TableReader::path(std::string_view key, std::string& into, size_t size_max) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const bool whole =
      value->kind == Value::Kind::Text && value->text.starts_with('/') && value->text.find('\0') == std::string::npos;
  if (!whole) return wrong_kind(*value, key, "a path in quotes, from \"/\" on");
  if (value->text.size() > size_max) {
    return wrong(*value, key, "is longer than " + std::to_string(size_max) + " bytes");
  }
  into = value->text;
}

void TableReader::number(std::string_view key, uint32_t min, uint32_t max, uint32_t& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Integer || value->integer < min || value->integer > max) {
    return wrong_kind(*value, key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  into = static_cast<uint32_t>(value->integer);
}

void TableReader::duration(std::string_view key, Duration min, Duration max, Duration& into) {
  static constexpr Unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
  const std::string range = config::duration_text(static_cast<uint64_t>(min.count())) + "\" to \"" +
                            config::duration_text(static_cast<uint64_t>(max.count()));
  uint64_t ms = static_cast<uint64_t>(into.count());
  amount(key, duration_units, static_cast<uint64_t>(min.count()), static_cast<uint64_t>(max.count()),
         "a duration in quotes, from \"" + range + "\"", ms);
  into = Duration(ms);
}

void TableReader::memory(std::string_view key, uint32_t min_kib, uint32_t max_kib, uint32_t& into_kib) {
  static constexpr Unit memory_units[] = {{"KiB", 1}, {"MiB", 1024}, {"GiB", 1024 * 1024}};
  const std::string range =
      config::size_text(uint64_t{min_kib} * 1024) + "\" to \"" + config::size_text(uint64_t{max_kib} * 1024);
  uint64_t kib = into_kib;
  amount(key, memory_units, min_kib, max_kib, "a size in quotes, from \"" + range + "\"", kib);
  into_kib = static_cast<uint32_t>(kib);
}

void TableReader::finish() {
  for (const config::Entry& entry : table_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    const std::string_view meant = config::nearest(entry.key, known_);
    std::vector<std::string> names(known_.begin(), known_.end());
    const std::string hint =
        meant.empty() ? "it has " + config::listed(names, "and") + "." : "did you mean " + config::quoted(meant) + "?";
    problems_.push_back({entry.place, (heading_.empty() ? "the file" : heading_) + " has no setting " +
                                          config::quoted(entry.key) + "; " + hint});
  }
}

void TableReader::amount(std::string_view key, std::span<const Unit> units, uint64_t min, uint64_t max,
                         const std::string& wanted, uint64_t& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Text) return wrong_kind(*value, key, wanted);
  uint64_t number = 0;
  const char* const end = value->text.data() + value->text.size();
  const auto [rest, error] = std::from_chars(value->text.data(), end, number);
  const std::string_view word(rest, static_cast<size_t>(end - rest));
  for (const Unit& unit : units) {
    if (error != std::errc() || unit.word != word || number > max / unit.amount) continue;
    if (number * unit.amount < min) break;
    into = number * unit.amount;
    return;
  }
  wrong_kind(*value, key, wanted);
}

void TableReader::wrong_table(const std::string& what) {
  problems_.push_back({table_.place, heading_ + ": " + what + "."});
}

void TableReader::missing(std::string_view key, const std::string& example) {
  problems_.push_back({table_.place, heading_ + " lacks " + std::string(key) + ". Write, for example: " + example});
}

void TableReader::secret_file(std::string_view key, Secret& into) {
  std::string file;
  path(key, file);
  if (file.empty()) return;
  const Value& value = *take(key);
  config::FileText contents = config::read_file(file, secret_file_size_max);
  if (!contents.fault.empty()) {
    wrong(value, key, "is " + config::quoted(file) + ", which " + contents.fault.substr(0, contents.fault.size() - 1));
  } else if (contents.open_to_all) {
    wrong(value, key,
          "is " + config::quoted(file) + ", which every user of this machine can read; close it by: chmod o= FILE");
  } else {
    into = Secret(std::string_view(contents.bytes).substr(0, contents.bytes.find_first_of("\r\n")));
    if (into.empty()) wrong(value, key, "is " + config::quoted(file) + ", whose first line is empty");
  }
  wipe(contents.bytes);
}

void TableReader::truth(std::string_view key, bool& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Bool) return wrong_kind(*value, key, "true or false, without quotes");
  into = value->text == "true";
}

void TableReader::choice(std::string_view key, std::span<const std::string_view> words, size_t& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto word = std::find(words.begin(), words.end(), value->text);
  if (value->kind == Value::Kind::Text && word != words.end()) {
    into = static_cast<size_t>(word - words.begin());
    return;
  }
  std::vector<std::string> names;
  for (const std::string_view known : words)
    names.push_back(config::quoted(known));
  const std::string_view meant = value->kind == Value::Kind::Text ? config::nearest(value->text, words) : "";
  wrong(
      *value, key,
      "is " + found(*value) + "; " +
          (meant.empty() ? "it can be " + config::listed(names, "or") : "did you mean " + config::quoted(meant) + "?"));
}

void TableReader::texts(std::string_view key, std::vector<std::string>& into) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const std::vector<Value> alone{*value};
  std::vector<std::string> list;
  for (const Value& item : value->kind == Value::Kind::List ? value->items : alone) {
    if (item.kind != Value::Kind::Text || item.text.empty()) {
      return wrong_kind(*value, key, "a text in quotes, or a list of such texts");
    }
    list.push_back(item.text);
  }
  into = std::move(list);
}

}  // namespace postern::helper
