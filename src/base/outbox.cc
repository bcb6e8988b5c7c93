// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/outbox.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/copy.h"

namespace postern {

Outbox::~Outbox() {
  CHECK(idle());
}

std::span<char> Outbox::reserve(BlockPool& pool, size_t size) {
  if (waiting_ == nullptr) waiting_ = pool.take(size);
  if (waiting_->capacity - waiting_->size < size) {
    // Doubling keeps a long run of small appends linear.
    Block* larger = pool.take(std::max<size_t>(waiting_->size + size, waiting_->capacity * size_t{2}));
    copy_bytes(larger->data(), waiting_->data(), waiting_->size);
    larger->size = waiting_->size;
    // The old copy may hold a password: moving is rare, wiping is cheap.
    pool.give(std::exchange(waiting_, larger), true);
  }
  return {waiting_->data() + waiting_->size, waiting_->capacity - waiting_->size};
}

void Outbox::commit(size_t size) {
  CHECK(size == 0 || (waiting_ != nullptr && size <= waiting_->capacity - waiting_->size));
  if (size != 0) waiting_->size += static_cast<uint32_t>(size);
}

void Outbox::append(BlockPool& pool, std::string_view bytes) {
  if (bytes.empty()) return;
  copy_bytes(reserve(pool, bytes.size()).data(), bytes.data(), bytes.size());
  commit(bytes.size());
}

void Outbox::settle(BlockPool& pool) {
  if (waiting_ != nullptr && waiting_->size == 0) pool.give(std::exchange(waiting_, nullptr), false);
}

std::span<const char> Outbox::launch() {
  CHECK(flying_ == nullptr && waiting_ != nullptr);
  flying_ = std::exchange(waiting_, nullptr);
  return {flying_->data(), flying_->size};
}

void Outbox::landed(BlockPool& pool, bool secret) {
  pool.give(std::exchange(flying_, nullptr), secret);
}

void Outbox::came_back(BlockPool& pool, size_t sent, bool secret) {
  CHECK(flying_ != nullptr && sent <= flying_->size);
  const std::string_view rest = flying_text().substr(sent);
  if (!rest.empty()) {
    Block* together = pool.take(rest.size() + waiting_size());
    copy_bytes(together->data(), rest.data(), rest.size());
    copy_bytes(together->data() + rest.size(), waiting_text().data(), waiting_size());
    together->size = static_cast<uint32_t>(rest.size() + waiting_size());
    pool.give(std::exchange(waiting_, together), secret);
  }
  landed(pool, secret);
}

void Outbox::drop_waiting(BlockPool& pool, bool secret) {
  pool.give(std::exchange(waiting_, nullptr), secret);
}

void Outbox::drop(BlockPool& pool, bool secret) {
  landed(pool, secret);
  drop_waiting(pool, secret);
}

}  // namespace postern
