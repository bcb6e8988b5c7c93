// SPDX-License-Identifier: GPL-3.0-or-later
// Outbox: the bytes that one side of a session is to be sent.
//
// Two blocks at most: one in the kernel's hands ("flying", must not move), one that is being filled ("waiting"). Both
// are borrowed; an outbox with nothing to send holds no memory. Its owner gives everything back with drop() before it
// dies.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/block_pool.h"

namespace postern {

class Outbox {
 public:
  Outbox() = default;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();

  // Room for at least `size` bytes behind what waits; valid until the next call. commit() says how much was used.
  std::span<char> reserve(BlockPool& pool, size_t size);
  void commit(size_t size);
  void append(BlockPool& pool, std::string_view bytes);
  // Gives back a waiting block that was reserved and left empty.
  void settle(BlockPool& pool);

  bool idle() const { return flying_ == nullptr && waiting_ == nullptr; }
  bool flying() const { return flying_ != nullptr; }
  std::string_view flying_text() const {
    return flying_ == nullptr ? std::string_view() : std::string_view(flying_->data(), flying_->size);
  }
  size_t flying_size() const { return flying_ == nullptr ? 0 : flying_->size; }
  // Bytes waiting behind those in flight.
  std::string_view waiting_text() const {
    return waiting_ == nullptr ? std::string_view() : std::string_view(waiting_->data(), waiting_->size);
  }
  size_t waiting_size() const { return waiting_ == nullptr ? 0 : waiting_->size; }

  // The sender's half. launch() hands out all that waits; nothing must be in flight. landed() gives that block back,
  // wiped when it held a secret.
  std::span<const char> launch();
  void landed(BlockPool& pool, bool secret);
  // The sending was stopped: only the first `sent` bytes of those in flight went. The rest waits again, in front.
  void came_back(BlockPool& pool, size_t sent, bool secret);
  // Forgets what waits; what is in flight still lands.
  void drop_waiting(BlockPool& pool, bool secret);
  // Forgets all bytes, those in flight included: only when the kernel holds nothing any more.
  void drop(BlockPool& pool, bool secret);

 private:
  Block* flying_ = nullptr;
  Block* waiting_ = nullptr;
};

}  // namespace postern
