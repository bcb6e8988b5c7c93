// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/log_line.h"

namespace postern {
namespace {

constexpr size_t sentence_size_max = 1024;

bool is_plain(std::string_view value) {
  if (value.empty()) return false;
  for (const char c : value) {
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

void append_quoted(std::string& text, std::string_view value) {
  static constexpr char digits[] = "0123456789abcdef";
  text += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += "\\x";
      text += digits[byte >> 4];
      text += digits[byte & 15];
    } else {
      text += c;
    }
  }
  text += '"';
}

}  // namespace

std::string_view severity_word(Severity severity) {
  switch (severity) {
    case Severity::Error: return "error";
    case Severity::Warning: return "warning";
    case Severity::Notice: return "notice";
    case Severity::Info: return "info";
    case Severity::Debug: return "debug";
  }
  return "unknown";
}

LogLine::LogLine(Severity severity, std::string_view event) : severity_(severity), text_(event) {}

LogLine& LogLine::add(std::string_view key, std::string_view value) {
  return add_cut(key, value, value_size_max);
}

LogLine& LogLine::add(std::string_view key, uint64_t value) {
  text_ += ' ';
  text_ += key;
  text_ += '=';
  text_ += std::to_string(value);
  if (fields_ < 64) numbers_ |= uint64_t{1} << fields_++;
  return *this;
}

LogLine& LogLine::say(std::string_view sentence) {
  return add_cut("text", sentence, sentence_size_max);
}

LogLine& LogLine::add_cut(std::string_view key, std::string_view value, size_t size_max) {
  if (fields_ < 64) ++fields_;
  text_ += ' ';
  text_ += key;
  text_ += '=';
  const bool cut = value.size() > size_max;
  const std::string_view kept = value.substr(0, size_max);
  if (is_plain(kept) && !cut) {
    text_ += kept;
    return *this;
  }
  append_quoted(text_, kept);
  if (cut) text_.insert(text_.size() - 1, "...");
  return *this;
}

}  // namespace postern
