// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/digest.h"

#include "tls/library.h"

namespace postern::tls {

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

}  // namespace postern::tls
