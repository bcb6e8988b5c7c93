// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/digest.h"

#include "tls/library.h"

namespace postern::tls {
namespace {

wc_HashType type_of(Hash hash) {
  switch (hash) {
    case Hash::Sha256: return WC_HASH_TYPE_SHA256;
    case Hash::Sha384: return WC_HASH_TYPE_SHA384;
    case Hash::Sha512: return WC_HASH_TYPE_SHA512;
  }
  return WC_HASH_TYPE_NONE;
}

}  // namespace

std::array<uint8_t, 32> hmac_sha256(std::string_view key, std::string_view bytes) {
  std::array<uint8_t, 32> digest;
  Hmac hmac;
  // None of these can fail for a software SHA-256 over memory.
  CHECK(wc_HmacInit(&hmac, nullptr, INVALID_DEVID) == 0);
  CHECK(wc_HmacSetKey(&hmac, WC_SHA256, reinterpret_cast<const byte*>(key.data()), static_cast<word32>(key.size())) ==
        0);
  CHECK(wc_HmacUpdate(&hmac, reinterpret_cast<const byte*>(bytes.data()), static_cast<word32>(bytes.size())) == 0);
  CHECK(wc_HmacFinal(&hmac, digest.data()) == 0);
  wc_HmacFree(&hmac);
  return digest;
}

std::array<uint8_t, 32> sha256(std::string_view bytes) {
  std::array<uint8_t, 32> digest;
  CHECK(wc_Sha256Hash(reinterpret_cast<const byte*>(bytes.data()), static_cast<word32>(bytes.size()), digest.data()) ==
        0);
  return digest;
}

std::string digest(Hash hash, std::string_view bytes) {
  const wc_HashType type = type_of(hash);
  std::string result(static_cast<size_t>(wc_HashGetDigestSize(type)), '\0');
  CHECK(wc_Hash(type, reinterpret_cast<const byte*>(bytes.data()), static_cast<word32>(bytes.size()),
                reinterpret_cast<byte*>(result.data()), static_cast<word32>(result.size())) == 0);
  return result;
}

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<uint8_t>(c) >> 4];
    text += digits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

}  // namespace postern::tls
