// SPDX-License-Identifier: GPL-3.0-or-later
// A load's result as a person reads it: one problem a line, then one warning a line.
#pragma once

#include <string>

#include "config/config.h"

namespace postern::config {

inline std::string sentences(const LoadResult& result) {
  std::string text;
  for (const Problem& problem : result.problems)
    text += problem.sentence() + "\n";
  for (const Problem& warning : result.warnings)
    text += "warning: " + warning.sentence() + "\n";
  return text;
}

inline std::string sentences(std::string_view text) {
  return sentences(load_text(text, "f"));
}

}  // namespace postern::config
