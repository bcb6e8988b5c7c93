// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/shelf.h"

#include <string.h>

#include "base/check.h"

namespace postern::auth {

Packed::Packed(Secret bytes) {
  if (bytes.size() > here_.size()) {
    elsewhere_ = std::move(bytes);
    return;
  }
  size_ = static_cast<uint8_t>(bytes.size());
  if (size_ != 0) memcpy(here_.data(), bytes.reveal().data(), size_);
}

Packed& Packed::operator=(Packed&& other) noexcept {
  if (this == &other) return *this;
  elsewhere_ = std::move(other.elsewhere_);
  size_ = std::exchange(other.size_, uint8_t{0});
  here_ = other.here_;
  wipe(other.here_.data(), other.here_.size());
  return *this;
}

Entry* Shelf::find(const Digest& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  unlink(found->second);
  link_newest(found->second);
  return &slot(found->second).entry;
}

size_t Shelf::put(const Digest& key, const std::array<NameDigest, names_of_entry>& names, Entry entry) {
  erase(key);
  if (entries_max_ == 0) return 0;
  size_t evicted = 0;
  if (by_key_.size() >= entries_max_) {
    erase_slot(oldest_);
    evicted = 1;
  }
  const uint32_t number = take_slot();
  Slot& place = slot(number);
  place.key = key;
  place.entry = std::move(entry);
  by_key_.emplace(key, number);
  link_newest(number);
  for (size_t i = 0; i < names_of_entry; ++i) {
    // A name that the entry already has is not linked twice.
    bool linked = names[i] == 0;
    for (size_t earlier = 0; earlier < i; ++earlier)
      linked = linked || names[earlier] == names[i];
    if (!linked) link_name(number, i, names[i]);
  }
  return evicted;
}

bool Shelf::erase(const Digest& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  erase_slot(found->second);
  return true;
}

size_t Shelf::erase_named(NameDigest name) {
  size_t erased = 0;
  for (auto first = by_name_.find(name); first != by_name_.end(); first = by_name_.find(name)) {
    erase_slot(first->second / names_of_entry);
    ++erased;
  }
  return erased;
}

size_t Shelf::count_named(NameDigest name) const {
  const auto first = by_name_.find(name);
  size_t count = 0;
  for (uint32_t link = first == by_name_.end() ? none : first->second; link != none; count++)
    link = pieces_[link / names_of_entry / piece_slots][link / names_of_entry % piece_slots]
               .names[link % names_of_entry]
               .next;
  return count;
}

size_t Shelf::clear() {
  const size_t erased = size();
  pieces_.clear();
  pieces_.shrink_to_fit();
  slots_ = 0;
  by_key_ = {};
  by_name_ = {};
  newest_ = oldest_ = free_ = none;
  return erased;
}

void Shelf::link_newest(uint32_t number) {
  Slot& place = slot(number);
  place.newer = none;
  place.older = newest_;
  if (newest_ != none) slot(newest_).newer = number;
  newest_ = number;
  if (oldest_ == none) oldest_ = number;
}

void Shelf::unlink(uint32_t number) {
  const Slot& place = slot(number);
  (place.newer == none ? newest_ : slot(place.newer).older) = place.older;
  (place.older == none ? oldest_ : slot(place.older).newer) = place.newer;
}

void Shelf::link_name(uint32_t number, size_t index, NameDigest name) {
  const auto link_number = static_cast<uint32_t>(number * names_of_entry + index);
  NameLink& link = slot(number).names[index];
  link = NameLink{name, none, none};
  const auto [first, is_new] = by_name_.try_emplace(name, link_number);
  if (is_new) return;
  link.next = first->second;
  name_link(first->second).previous = link_number;
  first->second = link_number;
}

void Shelf::unlink_name(NameLink& link) {
  if (link.name == 0) return;
  if (link.next != none) name_link(link.next).previous = link.previous;
  if (link.previous != none) {
    name_link(link.previous).next = link.next;
  } else if (link.next != none) {
    by_name_[link.name] = link.next;
  } else {
    by_name_.erase(link.name);
  }
  link = NameLink{};
}

void Shelf::erase_slot(uint32_t number) {
  CHECK(number < slots_);
  Slot& place = slot(number);
  unlink(number);
  for (NameLink& link : place.names)
    unlink_name(link);
  by_key_.erase(place.key);
  place.entry = Entry{};  // Wipes what was packed.
  place.newer = free_;
  free_ = number;
}

uint32_t Shelf::take_slot() {
  if (free_ == none) {
    if (slots_ % piece_slots == 0) pieces_.push_back(std::make_unique<Slot[]>(piece_slots));
    return slots_++;
  }
  const uint32_t number = free_;
  free_ = slot(number).newer;
  return number;
}

}  // namespace postern::auth
