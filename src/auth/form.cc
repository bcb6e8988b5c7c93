// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/form.h"

#include <string>

#include "base/check.h"

namespace postern::auth {
namespace {

constexpr char hex_digits[] = "0123456789ABCDEF";

// The bytes that the form encoding leaves alone (WHATWG URL, section 5.2).
bool stays(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '*' || c == '-' ||
         c == '.' || c == '_';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Appends the decoded text; false at a malformed escape. Decoding never lengthens, so a `decoded` that has reserved the
// line's size never moves and leaves no copy behind.
[[nodiscard]] bool decode(std::string_view text, std::string& decoded) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (text.size() - i < 3) return false;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return false;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return true;
}

}  // namespace

FormWriter& FormWriter::add(std::string_view key, std::string_view value) {
  if (!line_.empty()) line_.append('&');
  add_encoded(key);
  line_.append('=');
  add_encoded(value);
  return *this;
}

FormWriter& FormWriter::add(std::string_view key, uint64_t value) {
  return add(key, std::string_view(std::to_string(value)));
}

FormWriter& FormWriter::add_filled(std::string_view key, std::string_view value) {
  return value.empty() ? *this : add(key, value);
}

std::optional<Secret> FormWriter::finish() {
  line_.append('\n');
  const bool fits = line_.size() <= line_size_max;
  Secret line = line_.take();
  if (!fits) return std::nullopt;
  return line;
}

void FormWriter::add_encoded(std::string_view text) {
  // Beyond the limit the line is lost already; a huge value is not worth its memory.
  if (line_.size() > line_size_max) return;
  if (text.size() > line_size_max) text = text.substr(0, line_size_max + 1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (stays(c)) {
      line_.append(c);
    } else if (c == ' ') {
      line_.append('+');
    } else {
      const char escape[] = {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
      line_.append(std::string_view(escape, sizeof escape));
    }
  }
}

std::string_view form_fault_word(FormFault fault) {
  switch (fault) {
    case FormFault::None: return "none";
    case FormFault::TooLong: return "too long";
    case FormFault::TooManyPairs: return "too many pairs";
    case FormFault::BadEscape: return "bad escape";
  }
  return "unknown";
}

FormFault Form::read(std::string_view line) {
  pairs_.clear();
  decoded_.clear();
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() >= line_size_max) return FormFault::TooLong;

  std::string decoded;
  decoded.reserve(line.size());
  FormFault fault = FormFault::None;
  while (!line.empty() && fault == FormFault::None) {
    const std::string_view piece = line.substr(0, line.find('&'));
    line.remove_prefix(piece.size() == line.size() ? piece.size() : piece.size() + 1);
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    Pair pair{static_cast<uint16_t>(decoded.size()), 0, 0};
    bool sound = decode(piece.substr(0, equals), decoded);
    pair.value = static_cast<uint16_t>(decoded.size());
    if (equals != piece.npos) sound = sound && decode(piece.substr(equals + 1), decoded);
    pair.end = static_cast<uint16_t>(decoded.size());
    if (!sound) fault = FormFault::BadEscape;
    if (pairs_.size() == pairs_max) fault = FormFault::TooManyPairs;
    if (fault == FormFault::None) pairs_.push_back(pair);
  }
  if (fault != FormFault::None) pairs_.clear();
  decoded_ = Secret::take(decoded);
  if (fault != FormFault::None) decoded_.clear();
  return fault;
}

std::string_view Form::key(size_t index) const {
  CHECK(index < pairs_.size());
  const Pair& pair = pairs_[index];
  return decoded_.reveal().substr(pair.begin, pair.value - pair.begin);
}

std::string_view Form::value(size_t index) const {
  CHECK(index < pairs_.size());
  const Pair& pair = pairs_[index];
  return decoded_.reveal().substr(pair.value, pair.end - pair.value);
}

std::optional<std::string_view> Form::find(std::string_view wanted) const {
  for (size_t i = 0; i < pairs_.size(); ++i) {
    if (key(i) == wanted) return value(i);
  }
  return std::nullopt;
}

void LineSplitter::feed(std::string_view bytes) {
  if (overflowed_) return;
  buffer_.drop_front(consumed_);
  scanned_ -= consumed_;
  consumed_ = 0;
  buffer_.append(bytes);
}

std::optional<std::string_view> LineSplitter::next() {
  if (overflowed_) return std::nullopt;
  const std::string_view bytes = buffer_.reveal();
  const size_t line_feed = bytes.find('\n', scanned_);
  const size_t end = line_feed == bytes.npos ? bytes.size() : line_feed + 1;
  // Without its LF a line may still be one byte short of the limit.
  if (end - consumed_ > (line_feed == bytes.npos ? line_size_max - 1 : line_size_max)) {
    clear();
    overflowed_ = true;
    return std::nullopt;
  }
  if (line_feed == bytes.npos) {
    scanned_ = bytes.size();
    if (consumed_ == bytes.size()) clear();  // Idle: no memory, no remains of an answer.
    return std::nullopt;
  }
  const std::string_view line = bytes.substr(consumed_, line_feed - consumed_);
  consumed_ = scanned_ = line_feed + 1;
  return line;
}

void LineSplitter::clear() {
  buffer_.clear();
  consumed_ = scanned_ = 0;
  overflowed_ = false;
}

}  // namespace postern::auth
