// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/draft.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace postern::config {
namespace {

void add(std::vector<Problem>& list, const std::string& file, Place place, std::string text) {
  if (list.size() == LoadResult::problems_max) return;
  list.push_back({file, place.line, place.column, std::move(text)});
}

void sort(std::vector<Problem>& list) {
  std::stable_sort(list.begin(), list.end(), [](const Problem& left, const Problem& right) {
    return std::tie(left.line, left.column) < std::tie(right.line, right.column);
  });
}

}  // namespace

const Given* Element::find(std::string_view name) const {
  for (const Given& one : given) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

void Draft::problem(Place place, std::string text) {
  add(problems_, config.file, place, std::move(text));
}
void Draft::warning(Place place, std::string text) {
  add(warnings_, config.file, place, std::move(text));
}

const Given* Draft::find(std::string_view section, std::string_view name, size_t index) const {
  const auto found = elements.find(section);
  if (found == elements.end() || index >= found->second.size()) return nullptr;
  return found->second[index].find(name);
}

Place Draft::place(std::string_view section, std::string_view name, size_t index) const {
  const auto found = elements.find(section);
  if (found == elements.end() || index >= found->second.size()) return end;
  const Given* given = found->second[index].find(name);
  return given != nullptr ? given->place : found->second[index].place;
}

LoadResult Draft::finish() && {
  sort(problems_);
  sort(warnings_);
  LoadResult result;
  if (problems_.empty()) result.config = std::move(config);
  result.problems = std::move(problems_);
  result.warnings = std::move(warnings_);
  return result;
}

}  // namespace postern::config
