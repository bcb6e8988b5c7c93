// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/query.h"

#include <algorithm>

#include "config/words.h"

namespace postern::helper {
namespace {

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

absl::StatusOr<Query> Query::parse(std::string_view text) {
  Query query;
  std::string literal;
  while (!text.empty()) {
    if (text.starts_with("%%")) {
      literal += '%';
      text.remove_prefix(2);
    } else if (text.starts_with("%{")) {
      const size_t close = text.find('}');
      if (close == text.npos) return wrong("has a %{ without its }");
      const std::string_view word = text.substr(2, close - 2);
      const std::optional<Variable> variable = parse_variable(word);
      if (!variable)
        return wrong("has the unknown variable %{" + std::string(word) + "}; there are " + known_variables());
      if (!literal.empty()) query.parts_.emplace_back(std::move(literal));
      literal.clear();
      query.parts_.emplace_back(*variable);
      text.remove_prefix(close + 1);
    } else {
      literal += text.front();
      text.remove_prefix(1);
    }
  }
  if (!literal.empty()) query.parts_.emplace_back(std::move(literal));
  return query;
}

absl::StatusOr<Query> Query::parse_sql(std::string_view text) {
  absl::StatusOr<Query> query = parse(text);
  if (!query.ok()) return query;
  char quote = '\0';
  for (const Part& part : query->parts_) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      for (const char c : *literal) {
        if (quote == '\0' && (c == '\'' || c == '"' || c == '`')) {
          quote = c;
        } else if (c == quote) {
          quote = '\0';
        }
      }
    } else if (quote != '\0') {
      return wrong("has a %{variable} in quotes; take the quotes away: values are bound to the statement, not pasted");
    }
  }
  return query;
}

std::vector<Variable> Query::bound(Placeholder placeholder) const {
  std::vector<Variable> bound;
  for (const Part& part : parts_) {
    const auto* variable = std::get_if<Variable>(&part);
    if (variable == nullptr) continue;
    const bool again =
        placeholder == Placeholder::Dollar && std::find(bound.begin(), bound.end(), *variable) != bound.end();
    if (!again) bound.push_back(*variable);
  }
  return bound;
}

std::string Query::statement(Placeholder placeholder) const {
  const std::vector<Variable> numbers = bound(placeholder);
  std::string statement;
  for (const Part& part : parts_) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      statement += *literal;
    } else if (placeholder == Placeholder::QuestionMark) {
      statement += '?';
    } else {
      const auto found = std::find(numbers.begin(), numbers.end(), std::get<Variable>(part));
      statement += '$' + std::to_string(found - numbers.begin() + 1);
    }
  }
  return statement;
}

std::vector<std::string> Query::values(Placeholder placeholder, const Asked& asked) const {
  std::vector<std::string> values;
  for (const Variable variable : bound(placeholder))
    values.push_back(value_of(variable, asked));
  return values;
}

std::string Query::expand(const Asked& asked, const std::function<std::string(std::string_view)>& escape) const {
  std::string text;
  for (const Part& part : parts_) {
    const auto* literal = std::get_if<std::string>(&part);
    text += literal != nullptr ? *literal : escape(value_of(std::get<Variable>(part), asked));
  }
  return text;
}

bool Query::has(Variable variable) const {
  return std::find(parts_.begin(), parts_.end(), Part(variable)) != parts_.end();
}

}  // namespace postern::helper
