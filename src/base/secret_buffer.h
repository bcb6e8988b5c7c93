// SPDX-License-Identifier: GPL-3.0-or-later
// SecretBuffer: bytes that grow at the end and leave no copy of themselves behind.
//
// A std::string that grows frees its old block as it is. Lines of the helper protocol hold passwords, so they are put
// together and taken apart in this instead: every block is overwritten before it is freed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace postern {

class SecretBuffer {
 public:
  SecretBuffer() = default;
  SecretBuffer(SecretBuffer&& other) noexcept;
  SecretBuffer& operator=(SecretBuffer&& other) noexcept;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer();

  void append(std::string_view more);
  void append(char more) { append(std::string_view(&more, 1)); }
  // Forgets the first `count` bytes (at most all); their places are overwritten.
  void drop_front(size_t count);
  // The bytes; valid until the buffer changes or dies. Never log them.
  std::string_view reveal() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Wipes, empties and gives the memory back.
  void clear();
  // The bytes as a Secret; the buffer is empty afterwards and holds no memory.
  Secret take();

 private:
  void grow(size_t size);

  std::string bytes_;
};

}  // namespace postern
