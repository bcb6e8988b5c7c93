// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/shelf.h"

#include "base/check.h"

namespace postern::auth {

Entry* Shelf::find(const Digest& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  unlink(found->second);
  link_newest(found->second);
  return &slots_[found->second].entry;
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
  Slot& slot = slots_[number];
  slot.key = key;
  slot.entry = std::move(entry);
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

size_t Shelf::clear() {
  const size_t erased = size();
  slots_.clear();
  slots_.shrink_to_fit();
  by_key_ = {};
  by_name_ = {};
  newest_ = oldest_ = free_ = none;
  return erased;
}

void Shelf::link_newest(uint32_t number) {
  Slot& slot = slots_[number];
  slot.newer = none;
  slot.older = newest_;
  if (newest_ != none) slots_[newest_].newer = number;
  newest_ = number;
  if (oldest_ == none) oldest_ = number;
}

void Shelf::unlink(uint32_t number) {
  const Slot& slot = slots_[number];
  (slot.newer == none ? newest_ : slots_[slot.newer].older) = slot.older;
  (slot.older == none ? oldest_ : slots_[slot.older].newer) = slot.newer;
}

void Shelf::link_name(uint32_t number, size_t index, NameDigest name) {
  const auto link_number = static_cast<uint32_t>(number * names_of_entry + index);
  NameLink& link = slots_[number].names[index];
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
  CHECK(number < slots_.size());
  Slot& slot = slots_[number];
  unlink(number);
  for (NameLink& link : slot.names)
    unlink_name(link);
  by_key_.erase(slot.key);
  slot.entry = Entry{};  // Wipes what was packed.
  slot.newer = free_;
  free_ = number;
}

uint32_t Shelf::take_slot() {
  if (free_ == none) {
    slots_.emplace_back();
    return static_cast<uint32_t>(slots_.size() - 1);
  }
  const uint32_t number = free_;
  free_ = slots_[number].newer;
  return number;
}

}  // namespace postern::auth
