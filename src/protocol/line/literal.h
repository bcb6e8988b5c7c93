// SPDX-License-Identifier: GPL-3.0-or-later
// The announcement of a literal at the end of a line: "{5}" (the sender waits) and "{5+}" (it does not; RFC 7888).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace postern::line {

struct LiteralMark {
  // Stands for every count that needs more than 32 bits, so that no arithmetic behind it can wrap (RFC 9051, section 9:
  // number is 32 bits, number64 63).
  static constexpr uint64_t size_unbounded = std::numeric_limits<uint64_t>::max();

  uint64_t size = 0;
  bool waits = true;  // for a continuation request
};

// `line` comes without its line end. Whatever stands before the brace does not matter here.
std::optional<LiteralMark> literal_at_end(std::string_view line);

}  // namespace postern::line
