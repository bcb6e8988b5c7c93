// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/static_source.h"

#include <algorithm>
#include <utility>

#include "helper/names.h"

namespace postern::helper {

StaticSource::StaticSource(StaticOptions options, std::string name)
    : options_(std::move(options)), name_(std::move(name)) {}

Lookup StaticSource::find(const Asked& asked) {
  const bool ours = std::any_of(options_.match.begin(), options_.match.end(),
                                [&](const std::string& pattern) { return matches_pattern(pattern, asked.user); });
  if (!ours) return UnknownUser{};
  Entry entry;
  entry.hash = options_.password.clone();
  entry.check_at_back = options_.password.empty();
  return one_entry(std::move(entry));
}

}  // namespace postern::helper
