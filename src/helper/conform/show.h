// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of the helper protocol for people: secrets masked, odd bytes escaped, long ones cut.
#pragma once

#include <string>
#include <string_view>

namespace postern::helper::conform {

// One line, without its LF. A value whose key says that it is a secret is "***"; a piece that cannot be decoded loses
// its value too, since nobody can say what it is.
std::string shown(std::string_view line);

// Several lines on one: the first ones, then how many there were.
class Transcript {
 public:
  // `bytes` may hold several lines, or a part of one.
  void add(std::string_view bytes);
  std::string text() const;

 private:
  std::string text_;
  size_t lines_ = 0;
};

}  // namespace postern::helper::conform
