// SPDX-License-Identifier: GPL-3.0-or-later
// Packing: values as bytes, for what one process of ours hands to another on the same machine.
//
// Numbers are written as the machine has them in memory, texts behind their length in 32 bits. There are no names and
// no types in the bytes: writer and reader must be of one version, which they say to each other before.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/endpoint.h"
#include "base/secret_buffer.h"

namespace postern {

class Packer {
 public:
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void put(Number number) { raw(&number, sizeof number); }
  void put(std::string_view text);
  void put(const Endpoint& endpoint);

  // What was put so far; valid until the next put. It may hold keys: never log it.
  std::string_view reveal() const { return bytes_.reveal(); }
  Secret take() { return bytes_.take(); }

 private:
  void raw(const void* bytes, size_t size) { bytes_.append({static_cast<const char*>(bytes), size}); }

  SecretBuffer bytes_;  // overwritten when it dies
};

// Reads what a Packer wrote, in the same order. It never reads beyond the end: from the first read that would, all
// numbers are 0 and all texts empty, and whole() stays false.
class Unpacker {
 public:
  // `bytes` must outlive it and the texts that it gives.
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  requires std::is_arithmetic_v<Number> Number get() {
    if constexpr (std::is_same_v<Number, bool>) return get<uint8_t>() == 1;
    Number number{};
    raw(&number, sizeof number);
    return number;
  }
  std::string_view text();
  Endpoint endpoint();

  bool failed() const { return failed_; }
  // All was there, and nothing is left.
  bool whole() const { return !failed_ && rest_.empty(); }

 private:
  void raw(void* to, size_t size);

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace postern
