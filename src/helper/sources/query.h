// SPDX-License-Identifier: GPL-3.0-or-later
// Query: an administrator's text with %{variables} in it. For a database it becomes a statement with placeholders, and
// the values travel beside it; for all else each value is escaped by the rules of the place where it goes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "helper/asked.h"

namespace postern::helper {

class Query {
 public:
  // How a database writes the n-th placeholder: "?" each time, or "$1", "$2", ...
  enum class Placeholder : uint8_t { QuestionMark, Dollar };

  // "%%" is a percent sign. A Status says what is wrong: an unknown variable, a "%{" without its end.
  static absl::StatusOr<Query> parse(std::string_view text);
  // The same, and no variable stands in quotes, where a placeholder would be a text.
  static absl::StatusOr<Query> parse_sql(std::string_view text);

  // The statement, and what to bind to it. In "$n" a variable that comes twice has one number, and one value.
  std::string statement(Placeholder placeholder) const;
  std::vector<std::string> values(Placeholder placeholder, const Asked& asked) const;

  // The text with its values in it, each as `escape` makes it.
  std::string expand(const Asked& asked, const std::function<std::string(std::string_view)>& escape) const;

  bool has(Variable variable) const;

 private:
  using Part = std::variant<std::string, Variable>;
  std::vector<Variable> bound(Placeholder placeholder) const;
  std::vector<Part> parts_;
};

}  // namespace postern::helper
