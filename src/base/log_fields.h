// SPDX-License-Identifier: GPL-3.0-or-later
// LogFields: a log line taken apart again, for those who write it in another form. The line itself stays one text, which
// is what most of them need, and a reactor pays for nothing else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/log_line.h"

namespace postern {

class LogFields {
 public:
  struct Field {
    std::string_view key;
    std::string_view written;  // as it stands in the line, perhaps in quotes
    bool is_number = false;    // it was added as one

    // The value's own bytes, whatever they are. One that was too long ends in "...".
    std::string value() const;
  };

  // Looks into `line`, which must outlive it.
  explicit LogFields(const LogLine& line);

  std::string_view event() const { return event_; }
  // The fields in their order; nothing: that was the last one.
  std::optional<Field> next();

 private:
  const LogLine& line_;
  std::string_view event_;
  std::string_view rest_;
  size_t index_ = 0;
};

}  // namespace postern
