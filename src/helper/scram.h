// SPDX-License-Identifier: GPL-3.0-or-later
// SCRAM-SHA-256's stored form, {SCRAM-SHA-256} in Dovecot's spelling: iterations,salt,stored key,server key, the last
// three in base64 (RFC 5803 has the same fields). The arithmetic is OpenSSL's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/scram_keys.h"

namespace postern::helper {

// Behind the {SCHEME}. Nothing: it is broken.
std::optional<ScramKeys> read_scram(std::string_view hash);
std::string write_scram(const ScramKeys& keys);

// The keys of a password (RFC 5802, section 3). Nothing: OpenSSL refuses, for want of memory.
std::optional<ScramKeys> make_scram(std::string_view password, std::string salt, uint32_t iterations);

}  // namespace postern::helper
