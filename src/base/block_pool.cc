// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/block_pool.h"

#include <cstdlib>
#include <new>

#include "base/check.h"
#include "base/secret.h"

namespace postern {

BlockPool::~BlockPool() {
  CHECK(lent_ == 0);
  trim();
}

Block* BlockPool::take(size_t size) {
  size_t capacity = size;
  for (Shelf& shelf : shelves_) {
    if (size > shelf.size) continue;
    capacity = shelf.size;
    if (shelf.free.empty()) break;
    Block* block = shelf.free.back();
    shelf.free.pop_back();
    lent_ += sizeof(Block) + capacity;
    return block;
  }
  CHECK(capacity <= UINT32_MAX);
  void* memory = std::malloc(sizeof(Block) + capacity);
  CHECK(memory != nullptr);
  lent_ += sizeof(Block) + capacity;
  return new (memory) Block{static_cast<uint32_t>(capacity), 0};
}

void BlockPool::give(Block* block, bool secret) {
  if (block == nullptr) return;
  if (secret) wipe(block->data(), block->size);
  block->size = 0;
  lent_ -= sizeof(Block) + block->capacity;
  for (Shelf& shelf : shelves_) {
    if (shelf.size != block->capacity || shelf.free.size() >= shelf.kept_max) continue;
    shelf.free.push_back(block);
    return;
  }
  std::free(block);
}

void BlockPool::trim() {
  for (Shelf& shelf : shelves_) {
    for (Block* block : shelf.free)
      std::free(block);
    shelf.free.clear();
    shelf.free.shrink_to_fit();
  }
}

}  // namespace postern
