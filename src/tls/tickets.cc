// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/tickets.h"

#include <string.h>

#include <algorithm>

#include "base/secret.h"
#include "tls/library.h"
#include "tls/random.h"

namespace postern::tls {
namespace {

constexpr size_t nonce_size = CHACHA20_POLY1305_AEAD_IV_SIZE;
constexpr size_t tag_size = CHACHA20_POLY1305_AEAD_AUTHTAG_SIZE;
static_assert(nonce_size <= TicketKeys::iv_size && tag_size <= TicketKeys::mac_size);
static_assert(TicketKeys::name_size == WOLFSSL_TICKET_NAME_SZ && TicketKeys::iv_size == WOLFSSL_TICKET_IV_SZ &&
              TicketKeys::mac_size == WOLFSSL_TICKET_MAC_SZ);

// What the library must not find all zero, and a 16-byte tag leaves empty of its 32.
constexpr uint8_t mac_filler = 0x5a;

}  // namespace

TicketKeys::TicketKeys() {
  make_newest();
}

TicketKeys::~TicketKeys() {
  wipe(keys_.data(), sizeof keys_);
}

void TicketKeys::make_newest() {
  Key& newest = keys_.front();
  random_bytes(newest.name.data(), newest.name.size());
  random_bytes(newest.key.data(), newest.key.size());
  newest.live = true;
}

void TicketKeys::rotate() {
  const std::lock_guard lock(mutex_);
  std::rotate(keys_.begin(), keys_.end() - 1, keys_.end());
  make_newest();
}

bool TicketKeys::seal(std::span<uint8_t> ticket, std::span<uint8_t, name_size> name, std::span<uint8_t, iv_size> iv,
                      std::span<uint8_t, mac_size> mac) {
  random_bytes(iv.data(), iv.size());
  std::fill(mac.begin(), mac.end(), mac_filler);
  const std::lock_guard lock(mutex_);
  const Key& key = keys_.front();
  std::copy(key.name.begin(), key.name.end(), name.begin());
  return wc_ChaCha20Poly1305_Encrypt(key.key.data(), iv.data(), name.data(), name_size, ticket.data(),
                                     static_cast<word32>(ticket.size()), ticket.data(), mac.data()) == 0;
}

TicketKeys::Opened TicketKeys::open(std::span<uint8_t> ticket, std::span<const uint8_t, name_size> name,
                                    std::span<const uint8_t, iv_size> iv, std::span<const uint8_t, mac_size> mac) {
  const std::lock_guard lock(mutex_);
  for (const Key& key : keys_) {
    if (!key.live || !std::equal(name.begin(), name.end(), key.name.begin())) continue;
    const bool opened = wc_ChaCha20Poly1305_Decrypt(key.key.data(), iv.data(), name.data(), name_size, ticket.data(),
                                                    static_cast<word32>(ticket.size()), mac.data(), ticket.data()) == 0;
    if (!opened) return Opened::Unknown;
    return &key == &keys_.front() ? Opened::Newest : Opened::Older;
  }
  return Opened::Unknown;
}

}  // namespace postern::tls
