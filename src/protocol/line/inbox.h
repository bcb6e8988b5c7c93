// SPDX-License-Identifier: GPL-3.0-or-later
// Inbox: bytes that have arrived and are not yet understood.
//
// Any byte in it may belong to a password, so each is overwritten when it is consumed, when the memory grows to another
// place, and when the Inbox dies.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace postern::line {

class Inbox {
 public:
  Inbox() = default;
  Inbox(Inbox&& other) noexcept;
  Inbox& operator=(Inbox&& other) noexcept;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox() { clear(); }

  // Has no limit of its own: whoever appends asks first whether more is wanted.
  void append(std::string_view bytes);
  // What has not been consumed; valid until the next call that is not const.
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  // Wipes the first `size` bytes, which must be there.
  void consume(size_t size);
  // Gives away what is left. The caller's copy is an ordinary string.
  std::string take();
  // Wipes everything and gives the memory back.
  void clear();

 private:
  void grow(size_t room);

  std::unique_ptr<char[]> data_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace postern::line
