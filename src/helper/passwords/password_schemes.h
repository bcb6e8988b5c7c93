// SPDX-License-Identifier: GPL-3.0-or-later
// Stored hashes, taken apart: of which scheme one is, whether that is weak, and the hash without {SCHEME} and encoding.
// Nothing is computed here; password_digests.h and passwords.h do that.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace postern::helper {

// How a scheme's hashes are computed.
enum class Method : uint8_t {
  Crypt,   // libcrypt
  Apr1,    // htpasswd's variant of MD5-CRYPT, which libcrypt does not know
  Argon2,  // libargon2
  Scram,   // see scram.h
  Pbkdf2,  // Dovecot's $1$salt$rounds$hex
  Digest,  // a digest of the password and, behind it, the salt
  Plain,   // not at all
};

enum class Digest : uint8_t { Md5, Sha1, Sha256, Sha512 };
size_t digest_size(Digest digest);

// A scheme of stored hashes. Lives for ever.
struct StoredScheme {
  std::string_view word;  // as {WORD}, weak_schemes and the log name it
  Method method = Method::Crypt;
  bool weak = false;                // counts only where the configuration allows it by its word
  Digest digest = Digest::Sha1;     // with Digest and Scram
  bool salted = false;              // with Digest
  std::string_view begins[4] = {};  // how its hashes begin; none: their {WORD} tells, or their form
};

struct StoredHash {
  const StoredScheme* scheme = nullptr;  // nullptr: see `fault`
  bool locked = false;                   // a lock behind {CRYPT} or its kin: nothing matches
  Secret hash;                           // decoded: with Digest its octets, with all others their text
  std::string fault;                     // what is wrong, for the log; shows the scheme at most
};

StoredHash take_apart(std::string_view stored);

// Empty, or beginning with "!" or "*".
bool is_locked(std::string_view stored);

// The words that weak_schemes may hold.
std::span<const std::string_view> weak_scheme_words();

}  // namespace postern::helper
