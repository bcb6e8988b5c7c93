// SPDX-License-Identifier: GPL-3.0-or-later
// Columns: what a database's row or a directory's entry says of a user, by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/secret.h"
#include "helper/sources/source.h"

namespace postern::helper {

struct Column {
  std::string name;  // case does not matter
  Secret value;
  bool is_null = false;  // counts as not said, but for `password`, which is locked then
};

// `password` is the stored hash, `label` what people call it where a user has several, `disabled` is a truth (1, yes, true, t, y, on; 0, no, false, f, n, off), and every
// attribute of a route stands under its own name. Others are passed over. A Status says which column is wrong, and
// how; never what it held.
absl::StatusOr<Entry> entry_of(const std::vector<Column>& columns);

// All that entry_of() knows.
std::vector<std::string_view> known_columns();
// Those that entry_of() passes over, for --check: perhaps they are spelled wrong.
std::vector<std::string> unused(const std::vector<Column>& columns);

}  // namespace postern::helper
