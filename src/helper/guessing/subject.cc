// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/subject.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include <algorithm>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace postern::helper {
namespace {

constexpr size_t key_size = 32;
// For the first byte of what is hashed: no name can be taken for a password.
constexpr char name_mark = 'u', password_mark = 'p';

std::array<uint8_t, 32> hmac(std::string_view key, std::string_view text) {
  std::array<uint8_t, 32> digest{};
  unsigned size = 0;
  // It fails for lack of memory only.
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const uint8_t*>(text.data()),
             text.size(), digest.data(), &size) != nullptr);
  return digest;
}

}  // namespace

Subnet Subnet::of(const Endpoint& client) {
  Subnet subnet;
  subnet.v6 = client.v6;
  std::copy_n(client.address.begin(), client.v6 ? 8 : 4, subnet.bytes.begin());
  return subnet;
}

std::string Subnet::text() const {
  Endpoint base;
  base.v6 = v6;
  std::copy(bytes.begin(), bytes.end(), base.address.begin());
  return base.address_text() + (v6 ? "/64" : "/32");
}

DigestKey::DigestKey() {
  std::string key(key_size, '\0');
  CHECK(RAND_bytes(reinterpret_cast<uint8_t*>(key.data()), static_cast<int>(key.size())) == 1);
  key_ = Secret::take(key);
}

DigestKey::DigestKey(const Secret& shared) {
  // A key of its own, whatever else the secret is used for.
  std::array<uint8_t, 32> key = hmac(shared.reveal(), "postern guessing 1");
  key_ = Secret({reinterpret_cast<const char*>(key.data()), key.size()});
  wipe(key.data(), key.size());
}

UserId DigestKey::user(std::string_view user) const {
  const std::array<uint8_t, 32> digest = hmac(key_.reveal(), name_mark + std::string(user));
  UserId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

uint64_t DigestKey::password(std::string_view user, std::string_view password) const {
  // No reallocation: it would leave a piece of the password behind.
  std::string text;
  text.reserve(user.size() + password.size() + 2);
  text.append(1, password_mark).append(user).append(1, '\0').append(password);
  const std::array<uint8_t, 32> digest = hmac(key_.reveal(), text);
  wipe(text);
  uint64_t number = 0;
  memcpy(&number, digest.data(), sizeof number);
  return number;
}

std::string short_digest(uint64_t digest) {
  return absl::StrFormat("%04x", digest & 0xffff);
}

}  // namespace postern::helper
