// SPDX-License-Identifier: GPL-3.0-or-later
// Secret: a password, token or key on its way through the gate.
//
// It cannot be copied by accident, prints as "[redacted]", and its bytes are overwritten when it dies, is moved from
// or is assigned to. Taking the bytes out is a verb that can be searched for: reveal().
#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace postern {

// Overwrites `size` bytes at `data` in a way the compiler may not drop.
void wipe(void* data, size_t size);
// Wipes the text's whole capacity, then empties it.
void wipe(std::string& text);

class Secret {
 public:
  Secret() = default;
  // Copies `bytes`; whoever owns them wipes them.
  explicit Secret(std::string_view bytes);
  // Copies `bytes` and wipes the string they came in.
  static Secret take(std::string& bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  // A second copy, on purpose.
  Secret clone() const { return Secret(reveal()); }
  // The bytes; valid until this Secret changes or dies. Never log them.
  std::string_view reveal() const { return {data_.get(), size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Wipes and empties.
  void clear();

  // Constant time in the contents; the lengths are not hidden.
  friend bool operator==(const Secret& left, const Secret& right);
  friend std::ostream& operator<<(std::ostream& out, const Secret& secret);

 private:
  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
};

}  // namespace postern
