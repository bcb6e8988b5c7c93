// SPDX-License-Identifier: GPL-3.0-or-later
// TicketKeys: the keys under which session tickets are sealed (RFC 5077, RFC 8446 section 4.6.1).
//
// One object a process, shared by all reactors and kept over a reload, so that a ticket of one reactor opens at any
// other. Several gates may share their keys, so that a ticket of one opens at the others. The newest key seals; the
// previous ones still open. TLS 1.3 then brings a new ticket; in TLS 1.2 the library
// (5.5.4) loses the wish for one, so that the old ticket serves until its key is forgotten.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/secret.h"

namespace postern::tls {

class TicketKeys {
 public:
  // The newest and two before it: with a rotation of 12 hours a ticket opens for at least 24.
  static constexpr size_t key_count = 3;
  static constexpr size_t name_size = 16;
  static constexpr size_t iv_size = 16;
  static constexpr size_t mac_size = 32;
  // Of a shared key: its name and the key itself, both random.
  static constexpr size_t shared_size = name_size + 32;

  // Starts with one random key.
  TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Makes a new key the sealing one and forgets the oldest; nothing while the keys are shared ones. Any thread.
  void rotate();
  // Uses these instead of all former keys, the newest first; each has shared_size bytes. With none: a key of its own
  // again, if they were shared ones. Any thread.
  void share(std::span<const Secret> keys);

  // The keys as bytes, for the process that takes this one's place; empty: they are shared ones, which it reads itself.
  Secret pack() const;
  // Uses these; nothing changes when they are none, or while the keys are shared ones.
  void unpack(std::string_view bytes);

  enum class Opened : uint8_t { Newest, Older, Unknown };

  // Seals `ticket` in place and fills name, iv and mac. Any thread.
  [[nodiscard]] bool seal(std::span<uint8_t> ticket, std::span<uint8_t, name_size> name, std::span<uint8_t, iv_size> iv,
                          std::span<uint8_t, mac_size> mac);
  // Opens `ticket` in place; Unknown when its key is gone or the bytes are not ours. Any thread.
  [[nodiscard]] Opened open(std::span<uint8_t> ticket, std::span<const uint8_t, name_size> name,
                            std::span<const uint8_t, iv_size> iv, std::span<const uint8_t, mac_size> mac);

 private:
  // Copied out for each use, so that the lock is held for no cipher, and wiped.
  struct Key {
    std::array<uint8_t, name_size> name{};
    std::array<uint8_t, 32> key{};
    bool live = false;
    ~Key();
  };
  void make_newest();
  Key newest();
  Opened find(std::span<const uint8_t, name_size> name, Key& found);

  mutable std::mutex mutex_;
  std::vector<Key> keys_ = std::vector<Key>(key_count);  // newest first; at least one
  bool shared_ = false;
};

}  // namespace postern::tls
