// SPDX-License-Identifier: GPL-3.0-or-later
// Shelf: a bounded number of cache entries, found by key and by name, of which the least recently used leaves first.
//
// Not thread-safe; a stripe of the cache holds two. Entries lie in slots that are linked by 32-bit numbers: with
// 100,000 users the pointers of ready-made lists would outweigh what they point at. Slots lie together in large pieces,
// the verdicts in them: an entry is made at a login and outlives the session, and as a heap block of its own it would
// hold on to the page that it once shared with the session's memory (14,000 sessions that had left kept 20 MB so).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

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

// A packed verdict, in place when it is short, as nearly all are. Wiped like a Secret.
class Packed {
 public:
  Packed() = default;
  Packed(Secret bytes);  // NOLINT: a Packed is just another place for a Secret
  Packed(Packed&& other) noexcept { *this = std::move(other); }
  Packed& operator=(Packed&& other) noexcept;
  ~Packed() { wipe(here_.data(), here_.size()); }

  std::string_view reveal() const { return size_ != 0 ? std::string_view(here_.data(), size_) : elsewhere_.reveal(); }
  bool empty() const { return reveal().empty(); }
  Secret clone() const { return Secret(reveal()); }

 private:
  Secret elsewhere_;
  uint8_t size_ = 0;  // of what is here
  std::array<char, 95> here_{};
};

struct Entry {
  Packed packed;  // the verdict, see pack(); empty for a mark
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
  // How many have that name.
  size_t count_named(NameDigest name) const;
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
  static_assert(sizeof(Slot) <= 224, "100,000 of these are part of the gate's memory budget");
  static constexpr uint32_t piece_slots = 256;  // 56 KiB

  void link_newest(uint32_t number);
  void unlink(uint32_t number);
  void link_name(uint32_t number, size_t index, NameDigest name);
  void unlink_name(NameLink& link);
  Slot& slot(uint32_t number) { return pieces_[number / piece_slots][number % piece_slots]; }
  NameLink& name_link(uint32_t link) { return slot(link / names_of_entry).names[link % names_of_entry]; }
  void erase_slot(uint32_t number);
  uint32_t take_slot();

  size_t entries_max_;
  std::vector<std::unique_ptr<Slot[]>> pieces_;  // grows without copying slots
  uint32_t slots_ = 0;                           // taken so far, free ones among them
  absl::flat_hash_map<Digest, uint32_t> by_key_;
  absl::flat_hash_map<NameDigest, uint32_t> by_name_;  // first link of each name's chain
  uint32_t newest_ = none;
  uint32_t oldest_ = none;
  uint32_t free_ = none;
};

}  // namespace postern::auth
