// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/secret.h"

#include <string.h>

#include <ostream>
#include <utility>

namespace postern {

void wipe(void* data, size_t size) {
  if (size != 0) explicit_bzero(data, size);
}

void wipe(std::string& text) {
  // Bytes beyond size() may hold an earlier, longer value.
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string_view bytes) : size_(bytes.size()) {
  if (bytes.empty()) return;
  data_ = std::make_unique_for_overwrite<char[]>(bytes.size());
  memcpy(data_.get(), bytes.data(), bytes.size());
}

Secret Secret::take(std::string& bytes) {
  Secret secret(bytes);
  wipe(bytes);
  return secret;
}

Secret::Secret(Secret&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  clear();
  data_ = std::move(other.data_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Secret::~Secret() {
  clear();
}

void Secret::clear() {
  wipe(data_.get(), size_);
  data_.reset();
  size_ = 0;
}

bool operator==(const Secret& left, const Secret& right) {
  if (left.size_ != right.size_) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < left.size_; ++i)
    difference |= static_cast<unsigned char>(left.data_[i] ^ right.data_[i]);
  return difference == 0;
}

std::ostream& operator<<(std::ostream& out, const Secret&) {
  return out << "[redacted]";
}

}  // namespace postern
