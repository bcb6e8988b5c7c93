// SPDX-License-Identifier: GPL-3.0-or-later
// PEM (RFC 7468): the blocks of one kind in a text, as DER. Whatever stands between them is passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::tls {

enum class PemKind : uint8_t { Certificate, RevocationList };

// In their order; one that cannot be decoded is an empty text.
std::vector<std::string> pem_blocks(PemKind kind, std::string_view pem);

// The blocks of certificates as they stand, and nothing between them: where a key stands in the same file.
std::string certificates_alone(std::string_view pem);

}  // namespace postern::tls
