// SPDX-License-Identifier: GPL-3.0-or-later
// Form: the helper protocol's framing, used by the gate and by the helper's SDK alike (postern-helper protocol,
// version 1). One message is one line; a line is `application/x-www-form-urlencoded` pairs and ends in LF.
//
// FormWriter makes such a line, LineSplitter cuts a byte stream into lines, Form reads one line. All three keep their
// bytes in memory that is overwritten before it is freed, because any value may be a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/secret_buffer.h"

namespace postern::auth {

// Bytes of one line, the LF counted: room for the longest name, password, token and certificate subject that a dialect
// accepts, percent-encoded, and small enough that a peer that never ends its line costs nothing.
inline constexpr size_t line_size_max = 16 * 1024;

// Pairs of one line. The protocol knows some thirty keys and a handful of backs; the rest is room.
inline constexpr size_t pairs_max = 256;

class FormWriter {
 public:
  // Adds `key=value`, percent-encoded as HTML forms are: letters, digits and "*-._" stay, space becomes "+", every
  // other byte %XX. Keys may repeat; order is kept. Nothing in key or value can break the framing.
  FormWriter& add(std::string_view key, std::string_view value);
  FormWriter& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  FormWriter& add(std::string_view key, uint64_t value);
  // add(), unless the value is empty.
  FormWriter& add_filled(std::string_view key, std::string_view value);

  // The line with its LF; nullopt if it were longer than line_size_max. The writer is empty afterwards.
  [[nodiscard]] std::optional<Secret> finish();

 private:
  void add_encoded(std::string_view text);

  SecretBuffer line_;
};

enum class FormFault : uint8_t {
  None,
  TooLong,       // more than line_size_max bytes
  TooManyPairs,  // more than pairs_max
  BadEscape,     // a % without two hexadecimal digits behind it
};

// "too long", "too many pairs", ...: for a log line.
std::string_view form_fault_word(FormFault fault);

class Form {
 public:
  // Reads one line without its LF; a CR at its end is dropped, empty pieces between two & are skipped, a piece without
  // "=" is a key with an empty value. Bytes that should have been encoded are taken as they are. After a fault the form
  // is empty.
  [[nodiscard]] FormFault read(std::string_view line);

  size_t size() const { return pairs_.size(); }
  // In the order of the line; index < size(). Views are valid until the form changes or dies; they may show a password.
  std::string_view key(size_t index) const;
  std::string_view value(size_t index) const;
  // The first value under that key, nullopt if there is none.
  std::optional<std::string_view> find(std::string_view key) const;
  // The same, but empty if there is none.
  std::string_view get(std::string_view key) const { return find(key).value_or(std::string_view()); }
  Secret get_secret(std::string_view key) const { return Secret(get(key)); }

 private:
  struct Pair {
    uint16_t begin, value, end;  // offsets into decoded_
  };
  static_assert(line_size_max <= UINT16_MAX);

  Secret decoded_;
  std::vector<Pair> pairs_;
};

// Cuts a stream of bytes into lines. Feed, then ask for lines until there are none.
class LineSplitter {
 public:
  void feed(std::string_view bytes);
  // The next whole line without its LF, valid until the next call of any member; nullopt if more bytes are needed or
  // the stream has overflowed.
  std::optional<std::string_view> next();
  // A line exceeded line_size_max: nothing more comes out of this stream but by clear().
  bool overflowed() const { return overflowed_; }
  // Bytes are waiting for the end of their line.
  bool in_mid_line() const { return buffer_.size() != consumed_; }
  // Wipes all and begins anew, for a new connection.
  void clear();

 private:
  SecretBuffer buffer_;
  size_t consumed_ = 0;  // bytes of buffer_ that next() has given out
  size_t scanned_ = 0;   // bytes of buffer_ known to hold no LF beyond consumed_
  bool overflowed_ = false;
};

}  // namespace postern::auth
