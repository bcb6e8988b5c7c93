// SPDX-License-Identifier: GPL-3.0-or-later
// HMAC-SHA256 (RFC 2104), for keys that must not be guessed or made to collide.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace postern::tls {

std::array<uint8_t, 32> hmac_sha256(std::string_view key, std::string_view bytes);

}  // namespace postern::tls
