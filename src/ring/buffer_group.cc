// SPDX-License-Identifier: GPL-3.0-or-later
#include "ring/buffer_group.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace postern::ring {
namespace {

void* map(size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  // Passwords cross these buffers on connections without TLS: keep them out of core files.
  (void)madvise(memory, size, MADV_DONTDUMP);
  return memory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BufferGroup>> BufferGroup::create(Ring& ring, uint16_t group, uint32_t count,
                                                                 uint32_t size) {
  std::unique_ptr<BufferGroup> buffers(new BufferGroup());
  buffers->count_ = count;
  buffers->size_ = size;
  buffers->group_ = group;
  buffers->entries_ = static_cast<io_uring_buf_ring*>(map(count * sizeof(io_uring_buf)));
  buffers->memory_ = static_cast<char*>(map(size_t{count} * size));
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(buffers->entries_);
  registration.ring_entries = count;
  registration.bgid = group;
  const int error = io_uring_register_buf_ring(ring.raw(), &registration, 0);
  if (error < 0) {
    return absl::InternalError(absl::StrFormat("io_uring refuses a ring of receive buffers: %s", strerror(-error)));
  }
  io_uring_buf_ring_init(buffers->entries_);
  for (uint32_t i = 0; i < count; ++i)
    buffers->give_back(static_cast<uint16_t>(i));
  return buffers;
}

BufferGroup::~BufferGroup() {
  // The ring has gone first, and with it the kernel's use of this memory.
  if (memory_ != nullptr) munmap(memory_, size_t{count_} * size_);
  if (entries_ != nullptr) munmap(entries_, count_ * sizeof(io_uring_buf));
}

std::span<char> BufferGroup::bytes(uint16_t buffer, size_t size) {
  CHECK(buffer < count_ && size <= size_);
  return {memory_ + size_t{buffer} * size_, size};
}

void BufferGroup::give_back(uint16_t buffer) {
  io_uring_buf_ring_add(entries_, memory_ + size_t{buffer} * size_, size_, buffer, io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(entries_, 1);
}

size_t BufferGroup::footprint() const {
  return count_ * (size_ + sizeof(io_uring_buf));
}

}  // namespace postern::ring
