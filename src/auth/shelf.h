// SPDX-License-Identifier: GPL-3.0-or-later
// Shelf: a bounded number of cache entries, found by key and by name, of which the least recently used leaves first.
//
// Not thread-safe; a stripe of the cache holds two. Entries lie in slots that are linked by 32-bit numbers: with
// 100,000 users the pointers of ready-made lists would outweigh what they point at.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/secret.h"

namespace postern::auth {

// 128 bits of a keyed digest.
struct Digest {
  std::array<uint8_t, 16> bytes{};

  friend bool operator==(const Digest&, const Digest&) = default;
  // Nobody outside can aim a keyed digest, so its first bytes are hash enough.
  template <typename H>
  friend H AbslHashValue(H state, const Digest& digest) {
    return H::combine_contiguous(std::move(state), digest.bytes.data(), 8);
  }
};

// 64 bits of a keyed digest of a user's name; 0 is no name. Two names with the same one are invalidated together.
using NameDigest = uint64_t;
inline constexpr size_t names_of_entry = 3;

struct Entry {
  Secret packed;  // the verdict, see pack(); empty for a mark
  Instant stored_at{};
  Duration ttl{0};
  bool varies = false;  // no verdict: look again under the key that takes in the mail program's address
};

class Shelf {
 public:
  explicit Shelf(size_t entries_max) : entries_max_(entries_max) {}

  // The entry under that key, nullptr if there is none; it becomes the most recently used. Valid until the next call.
  Entry* find(const Digest& key);
  // Stores under that key, which may exist. Returns how many other entries had to leave (0 or 1); a shelf of size zero
  // stores nothing.
  size_t put(const Digest& key, const std::array<NameDigest, names_of_entry>& names, Entry entry);
  // Returns whether there was one.
  bool erase(const Digest& key);
  // Erases what has that name; returns how many.
  size_t erase_named(NameDigest name);
  // Erases all; returns how many. Memory is given back.
  size_t clear();
  size_t size() const { return by_key_.size(); }

 private:
  static constexpr uint32_t none = UINT32_MAX;

  // A place in the chain of all entries with one name. Its number is slot * names_of_entry + index in the slot.
  struct NameLink {
    NameDigest name = 0;
    uint32_t previous = none;
    uint32_t next = none;
  };
  struct Slot {
    Digest key;
    Entry entry;
    uint32_t newer = none;  // next free slot, where this one is free
    uint32_t older = none;
    std::array<NameLink, names_of_entry> names;
  };
  static_assert(sizeof(Slot) <= 128, "100,000 of these are part of the gate's memory budget");

  void link_newest(uint32_t number);
  void unlink(uint32_t number);
  void link_name(uint32_t number, size_t index, NameDigest name);
  void unlink_name(NameLink& link);
  NameLink& name_link(uint32_t link) { return slots_[link / names_of_entry].names[link % names_of_entry]; }
  void erase_slot(uint32_t number);
  uint32_t take_slot();

  size_t entries_max_;
  std::deque<Slot> slots_;  // grows piece by piece, without copying
  absl::flat_hash_map<Digest, uint32_t> by_key_;
  absl::flat_hash_map<NameDigest, uint32_t> by_name_;  // first link of each name's chain
  uint32_t newest_ = none;
  uint32_t oldest_ = none;
  uint32_t free_ = none;
};

}  // namespace postern::auth
