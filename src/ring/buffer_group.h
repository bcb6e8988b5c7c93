// SPDX-License-Identifier: GPL-3.0-or-later
// BufferGroup: receive buffers that the kernel picks from when bytes arrive, so that an idle socket owns none.
//
// A buffer is ours from its completion to give_back(). The group is sized by completions in one round of the loop, not
// by sessions.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "ring/ring.h"

namespace postern::ring {

class BufferGroup {
 public:
  // `count` must be a power of two, at most 32768.
  static absl::StatusOr<std::unique_ptr<BufferGroup>> create(Ring& ring, uint16_t group, uint32_t count, uint32_t size);
  ~BufferGroup();
  BufferGroup(const BufferGroup&) = delete;
  BufferGroup& operator=(const BufferGroup&) = delete;

  uint16_t group() const { return group_; }
  uint32_t buffer_size() const { return size_; }
  // The first `size` bytes of a buffer that a completion named.
  std::span<char> bytes(uint16_t buffer, size_t size);
  void give_back(uint16_t buffer);
  // Bytes of memory in all.
  size_t footprint() const;

 private:
  BufferGroup() = default;

  io_uring_buf_ring* entries_ = nullptr;
  char* memory_ = nullptr;
  uint32_t count_ = 0;
  uint32_t size_ = 0;
  uint16_t group_ = 0;
};

}  // namespace postern::ring
