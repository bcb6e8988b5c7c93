// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/tickets.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "base/packing.h"
#include "tls/library.h"
#include "tls/random.h"

namespace postern::tls {
namespace {

constexpr size_t nonce_size = CHACHA20_POLY1305_AEAD_IV_SIZE;
constexpr size_t tag_size = CHACHA20_POLY1305_AEAD_AUTHTAG_SIZE;
static_assert(nonce_size <= TicketKeys::iv_size && tag_size <= TicketKeys::mac_size);
static_assert(TicketKeys::name_size == WOLFSSL_TICKET_NAME_SZ && TicketKeys::iv_size == WOLFSSL_TICKET_IV_SZ &&
              TicketKeys::mac_size == WOLFSSL_TICKET_MAC_SZ);

// What a 12-byte nonce and a 16-byte tag leave empty of the library's fields, whose halves must not be all zero.
constexpr uint8_t filler = 0x5a;

bool is_filler(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == filler; });
}

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TicketKeys::TicketKeys() {
  make_newest();
}

void TicketKeys::make_newest() {
  Key& newest = keys_.front();
  random_bytes(newest.name.data(), newest.name.size());
  random_bytes(newest.key.data(), newest.key.size());
  newest.live = true;
}

void TicketKeys::rotate() {
  const std::lock_guard lock(mutex_);
  if (shared_) return;
  std::rotate(keys_.begin(), keys_.end() - 1, keys_.end());
  make_newest();
}

void TicketKeys::share(std::span<const Secret> keys) {
  const std::lock_guard lock(mutex_);
  if (keys.empty() && !shared_) return;
  shared_ = !keys.empty();

  keys_ = std::vector<Key>(shared_ ? keys.size() : key_count);
  if (!shared_) return make_newest();
  for (size_t at = 0; at < keys.size(); ++at) {
    const std::string_view bytes = keys[at].reveal();
    CHECK(bytes.size() == shared_size);
    std::copy_n(bytes.begin(), name_size, keys_[at].name.begin());
    std::copy(bytes.begin() + name_size, bytes.end(), keys_[at].key.begin());
    keys_[at].live = true;
  }
}

Secret TicketKeys::pack() const {
  const std::lock_guard lock(mutex_);
  if (shared_) return Secret();
  Packer packer;
  for (const Key& key : keys_) {
    packer.put(key.live);
    packer.put(text_of(key.name));
    packer.put(text_of(key.key));
  }
  return packer.take();
}

void TicketKeys::unpack(std::string_view bytes) {
  Unpacker unpacker(bytes);
  std::vector<Key> keys(key_count);
  for (Key& key : keys) {
    key.live = unpacker.get<bool>();
    const std::string_view name = unpacker.text(), secret = unpacker.text();
    if (name.size() != key.name.size() || secret.size() != key.key.size()) return;
    std::copy(name.begin(), name.end(), key.name.begin());
    std::copy(secret.begin(), secret.end(), key.key.begin());
  }
  if (!unpacker.whole() || !keys.front().live) return;
  const std::lock_guard lock(mutex_);
  if (!shared_) keys_ = std::move(keys);
}

bool TicketKeys::seal(std::span<uint8_t> ticket, std::span<uint8_t, name_size> name, std::span<uint8_t, iv_size> iv,
                      std::span<uint8_t, mac_size> mac) {
  std::fill(iv.begin(), iv.end(), filler);
  random_bytes(iv.data(), nonce_size);
  std::fill(mac.begin(), mac.end(), filler);
  const Key key = newest();
  std::copy(key.name.begin(), key.name.end(), name.begin());
  return wc_ChaCha20Poly1305_Encrypt(key.key.data(), iv.data(), name.data(), name_size, ticket.data(),
                                     static_cast<word32>(ticket.size()), ticket.data(), mac.data()) == 0;
}

TicketKeys::Opened TicketKeys::open(std::span<uint8_t> ticket, std::span<const uint8_t, name_size> name,
                                    std::span<const uint8_t, iv_size> iv, std::span<const uint8_t, mac_size> mac) {
  if (!is_filler(iv.subspan(nonce_size)) || !is_filler(mac.subspan(tag_size))) return Opened::Unknown;
  Key key;
  const Opened found = find(name, key);
  if (found == Opened::Unknown) return found;
  const bool opened = wc_ChaCha20Poly1305_Decrypt(key.key.data(), iv.data(), name.data(), name_size, ticket.data(),
                                                  static_cast<word32>(ticket.size()), mac.data(), ticket.data()) == 0;
  return opened ? found : Opened::Unknown;
}

TicketKeys::Key::~Key() {
  wipe(key.data(), key.size());
}

TicketKeys::Key TicketKeys::newest() {
  const std::lock_guard lock(mutex_);
  return keys_.front();
}

TicketKeys::Opened TicketKeys::find(std::span<const uint8_t, name_size> name, Key& found) {
  const std::lock_guard lock(mutex_);
  for (const Key& key : keys_) {
    if (!key.live || !std::equal(name.begin(), name.end(), key.name.begin())) continue;
    found = key;
    return &key == &keys_.front() ? Opened::Newest : Opened::Older;
  }
  return Opened::Unknown;
}

}  // namespace postern::tls
