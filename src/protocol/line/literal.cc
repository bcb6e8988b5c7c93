// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/line/literal.h"

namespace postern::line {

std::optional<LiteralMark> literal_at_end(std::string_view line) {
  if (!line.ends_with('}')) return std::nullopt;
  LiteralMark mark;
  const size_t open = line.rfind('{');
  if (open == line.npos) return std::nullopt;
  std::string_view digits = line.substr(open + 1, line.size() - open - 2);
  if (digits.ends_with('+')) {
    mark.waits = false;
    digits.remove_suffix(1);
  }
  if (digits.empty()) return std::nullopt;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    if (mark.size == LiteralMark::size_unbounded) continue;
    mark.size = mark.size * 10 + static_cast<uint64_t>(digit - '0');
    if (mark.size > std::numeric_limits<uint32_t>::max()) mark.size = LiteralMark::size_unbounded;
  }
  return mark;
}

}  // namespace postern::line
