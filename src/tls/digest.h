// SPDX-License-Identifier: GPL-3.0-or-later
// Digests: of certificates and keys, and HMAC-SHA256 (RFC 2104) for keys that must not be guessed or made to collide.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::tls {

std::array<uint8_t, 32> hmac_sha256(std::string_view key, std::string_view bytes);

// FIPS 180-4.
std::array<uint8_t, 32> sha256(std::string_view bytes);

enum class Hash : uint8_t { Sha256, Sha384, Sha512 };
// The digest as bytes.
std::string digest(Hash hash, std::string_view bytes);
// Two lower-case digits a byte.
std::string hex(std::string_view bytes);

}  // namespace postern::tls
