// SPDX-License-Identifier: GPL-3.0-or-later
// BlockPool: memory that is lent while bytes wait to be sent, and given back when they are gone.
//
// One pool a reactor, used by its thread only. Blocks come in three sizes; a few of each stay in the pool for the next
// borrower, the rest goes back to the allocator, so that memory follows the traffic and not its highest day.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace postern {

struct Block {
  uint32_t capacity = 0;  // bytes at data()
  uint32_t size = 0;      // of them, used
  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
};

class BlockPool {
 public:
  // Small: a command or its answer. Medium: one full TLS record (16 KiB and its framing). Large: what one large receive
  // (64 KiB) becomes as four records.
  static constexpr size_t small_size = 2048 - sizeof(Block);
  static constexpr size_t medium_size = 18 * 1024 - sizeof(Block);
  static constexpr size_t large_size = 68 * 1024 - sizeof(Block);

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  // A block with room for at least `size` bytes. More than large_size gets a block of its own size, never kept.
  Block* take(size_t size);
  // Takes the block back; `secret` bytes are wiped first. A null block is nothing.
  void give(Block* block, bool secret);

  // Bytes lent at this moment, headers included: the tests' proof that an idle session holds none.
  size_t lent() const { return lent_; }
  // Frees what is kept for the next borrower.
  void trim();

 private:
  struct Shelf {
    size_t size;
    size_t kept_max;
    std::vector<Block*> free;
  };
  Shelf shelves_[3] = {{small_size, 256, {}}, {medium_size, 32, {}}, {large_size, 16, {}}};
  size_t lent_ = 0;
};

}  // namespace postern
