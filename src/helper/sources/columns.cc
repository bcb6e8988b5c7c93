// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/columns.h"

#include <algorithm>

#include "helper/names.h"

namespace postern::helper {
namespace {

constexpr std::string_view yes_words[] = {"1", "yes", "true", "t", "y", "on"};
constexpr std::string_view no_words[] = {"0", "no", "false", "f", "n", "off", ""};

bool is_one_of(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

absl::Status set_truth(std::string_view value, bool& into) {
  const std::string word = folded(value);
  into = is_one_of(yes_words, word);
  return into || is_one_of(no_words, word)
             ? absl::OkStatus()
             : absl::InvalidArgumentError("is neither true nor false (1 or 0, yes or no)");
}

}  // namespace

absl::StatusOr<Entry> entry_of(const std::vector<Column>& columns) {
  Entry entry;
  entry.has_hash = false;
  for (const Column& column : columns) {
    const std::string name = folded(column.name);
    absl::Status status;
    if (name == "password") {
      entry.has_hash = true;
      entry.hash = column.is_null ? Secret() : column.value.clone();
    } else if (column.is_null) {
      continue;
    } else if (name == "label") {
      entry.label = column.value.reveal();
    } else if (name == "disabled") {
      status = set_truth(column.value.reveal(), entry.disabled);
    } else {
      status = set_attribute(entry.route, name, column.value.reveal());
      if (absl::IsNotFound(status)) continue;
    }
    if (!status.ok()) return absl::InvalidArgumentError("column " + name + " " + std::string(status.message()));
  }
  if (absl::Status status = check_route(entry.route); !status.ok()) return status;
  return entry;
}

std::vector<std::string_view> known_columns() {
  std::vector<std::string_view> names{"password", "label", "disabled"};
  for (const RouteAttribute& attribute : route_attributes())
    names.push_back(attribute.name);
  return names;
}

std::vector<std::string> unused(const std::vector<Column>& columns) {
  const std::vector<std::string_view> known = known_columns();
  std::vector<std::string> names;
  for (const Column& column : columns) {
    if (!is_one_of(known, folded(column.name))) names.push_back(column.name);
  }
  return names;
}

}  // namespace postern::helper
