// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/line/inbox.h"

#include <string.h>

#include <algorithm>

#include "base/check.h"
#include "base/secret.h"

namespace postern::line {
namespace {

// A login command fits; anything larger is given back as soon as it is empty.
constexpr size_t kept_capacity = 512;

}  // namespace

Inbox::Inbox(Inbox&& other) noexcept
    : data_(std::move(other.data_)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Inbox& Inbox::operator=(Inbox&& other) noexcept {
  if (this == &other) return *this;
  clear();
  data_ = std::move(other.data_);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  return *this;
}

void Inbox::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (capacity_ - end_ < bytes.size()) grow(bytes.size());
  memcpy(data_.get() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

void Inbox::consume(size_t consumed) {
  CHECK(consumed <= size());
  wipe(data_.get() + begin_, consumed);
  begin_ += consumed;
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  if (capacity_ > kept_capacity) clear();
}

std::string Inbox::take() {
  std::string bytes(view());
  clear();
  return bytes;
}

void Inbox::clear() {
  // Outside [begin, end) everything is wiped already.
  wipe(data_.get() + begin_, size());
  data_.reset();
  begin_ = end_ = capacity_ = 0;
}

void Inbox::grow(size_t room) {
  const size_t used = size();
  const size_t capacity = std::max({kept_capacity, used + room, used * 2});
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (used != 0) memcpy(larger.get(), data_.get() + begin_, used);
  wipe(data_.get() + begin_, used);
  data_ = std::move(larger);
  begin_ = 0;
  end_ = used;
  capacity_ = capacity;
}

}  // namespace postern::line
