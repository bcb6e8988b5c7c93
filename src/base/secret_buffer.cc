// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/secret_buffer.h"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

// Most lines fit, so that most buffers are allocated once.
constexpr size_t first_capacity = 512;

}  // namespace

// A moved-from std::string may keep short contents in place, so moving is a swap with an empty one that is then wiped.
SecretBuffer::SecretBuffer(SecretBuffer&& other) noexcept {
  bytes_.swap(other.bytes_);
  wipe(other.bytes_);
}

SecretBuffer& SecretBuffer::operator=(SecretBuffer&& other) noexcept {
  if (this == &other) return *this;
  clear();
  bytes_.swap(other.bytes_);
  wipe(other.bytes_);
  return *this;
}

SecretBuffer::~SecretBuffer() {
  wipe(bytes_);
}

void SecretBuffer::append(std::string_view more) {
  if (bytes_.size() + more.size() > bytes_.capacity()) grow(bytes_.size() + more.size());
  bytes_.append(more);
}

void SecretBuffer::drop_front(size_t count) {
  count = std::min(count, bytes_.size());
  if (count == 0) return;
  const size_t left = bytes_.size() - count;
  std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(count), bytes_.end(), bytes_.begin());
  wipe(bytes_.data() + left, count);
  bytes_.resize(left);
}

void SecretBuffer::clear() {
  wipe(bytes_);
  bytes_.shrink_to_fit();
}

Secret SecretBuffer::take() {
  Secret secret(bytes_);
  clear();
  return secret;
}

void SecretBuffer::grow(size_t size) {
  std::string larger;
  larger.reserve(std::max({size, bytes_.capacity() * 2, first_capacity}));
  larger.append(bytes_);
  bytes_.swap(larger);
  wipe(larger);
}

}  // namespace postern
