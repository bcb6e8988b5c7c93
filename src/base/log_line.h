// SPDX-License-Identifier: GPL-3.0-or-later
// LogLine: one event as one line of `key=value` pairs, written by the core as a value and carried out by a sink.
//
// Values that hold anything but plain graphic ASCII are put in double quotes; quotes, backslashes, control characters
// and bytes above 0x7e become \" \\ \n \xHH. So no peer can forge a line or a field, and a line is always ASCII.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

enum class Severity : uint8_t { Error, Warning, Notice, Info, Debug };

// "error", "warning", ...: the word in the line and in the configuration.
std::string_view severity_word(Severity severity);

class LogLine {
 public:
  // Longer values are cut and marked with "..."; no value from a peer makes a line that a log daemon would split.
  static constexpr size_t value_size_max = 256;

  // `event` is a fixed word of ours: "login", "end", "helper".
  LogLine(Severity severity, std::string_view event);

  LogLine& add(std::string_view key, std::string_view value);
  LogLine& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  LogLine& add(std::string_view key, uint64_t value);
  // A sentence for people; like add("text", ...), but up to 1024 bytes.
  LogLine& say(std::string_view sentence);

  Severity severity() const { return severity_; }
  const std::string& text() const { return text_; }
  // Whether the field of this index, from 0, was added as a number. Beyond the 64th: no.
  bool is_number(size_t index) const { return index < 64 && (numbers_ >> index & 1) != 0; }

 private:
  LogLine& add_cut(std::string_view key, std::string_view value, size_t size_max);

  Severity severity_;
  uint8_t fields_ = 0;    // added so far
  uint64_t numbers_ = 0;  // a bit for each of them
  std::string text_;
};

}  // namespace postern
