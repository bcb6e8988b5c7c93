// SPDX-License-Identifier: GPL-3.0-or-later
// SCRAM's stored form, {SCRAM-SHA-256} and {SCRAM-SHA-1} in Dovecot's spelling: iterations,salt,stored key,server key,
// the last three in base64 (RFC 5803 has the same fields). The arithmetic is OpenSSL's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/scram_keys.h"
#include "helper/passwords/password_schemes.h"

namespace postern::helper {

// What new passwords get: a good second of a guesser's core for 50 guesses, as with the other schemes.
inline constexpr uint32_t scram_iterations = 100000;

// Behind the {SCHEME}. Nothing: it is broken. SCRAM-SHA-1's keys are good for verifying passwords; what the gate's
// logins want is SCRAM-SHA-256's.
std::optional<ScramKeys> read_scram(std::string_view hash, Digest digest = Digest::Sha256);
std::string write_scram(const ScramKeys& keys);

// The keys of a password (RFC 5802, section 3). Nothing: OpenSSL refuses, for want of memory.
std::optional<ScramKeys> make_scram(std::string_view password, std::string salt, uint32_t iterations,
                                    Digest digest = Digest::Sha256);

}  // namespace postern::helper
