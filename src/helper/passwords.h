// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords against their stored hashes, in the schemes that mail sites have.
//
// A stored hash is what Dovecot, htpasswd or passwd(5) keep: an optional {SCHEME} and then the hash.
//   {CRYPT}  or nothing   what crypt(5) of this system calls strong: yescrypt $y$, gost-yescrypt $gy$, scrypt $7$,
//                         bcrypt $2a$ $2b$ $2y$, SHA-512 $6$, SHA-256 $5$; and Argon2's $argon2id$ and $argon2i$
//   {BLF-CRYPT} {SHA512-CRYPT} {SHA256-CRYPT}   the same, of that one kind
//   {ARGON2ID} {ARGON2I}  Argon2's encoded string
//   {SCRAM-SHA-256}       see scram.h; the only form of which SCRAM logins can be verified
//   {PLAIN} {CLEARTEXT}   the password itself
//   empty, or beginning with "!" or "*"   a locked password (shadow(5)): nothing matches
// Everything else is weak or unknown here, and then nobody can say whether the password was right: that is a failure,
// not a mismatch, or a migration would tell all its users that they forgot their passwords.
//
// bcrypt looks at 72 bytes of a password and ignores the rest. When verifying that is how it always was; hash() refuses
// to make such a hash.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/scram_keys.h"
#include "base/secret.h"

namespace postern::helper {

// What new passwords are hashed with.
enum class Scheme : uint8_t { Yescrypt, Sha512, Bcrypt, Argon2id, ScramSha256 };

// "yescrypt", "sha512", "bcrypt", "argon2id", "scram-sha-256".
std::string_view scheme_word(Scheme scheme);
std::optional<Scheme> parse_scheme(std::string_view word);

enum class Match : uint8_t {
  Yes,
  No,
  CannotSay,  // the hash is weak, unknown or broken
};

struct Verification {
  Match match = Match::No;
  std::string fault;  // with CannotSay: what is wrong with the hash, for the log; shows nothing of it but its scheme
};

// Longer passwords match nothing; libcrypt has the same limit.
inline constexpr size_t password_size_max = 511;

class Passwords {
 public:
  struct Options {
    Scheme scheme = Scheme::Yescrypt;
    // Argon2 hashes under way together use at most so much memory; one that needs more by itself is CannotSay.
    uint32_t argon2_memory_kib = 256 * 1024;
  };

  // Hashes once, to have something that costs as much as a real user.
  explicit Passwords(const Options& options);

  // Takes as long as the hash is made to take; from any thread. An empty password is always No.
  Verification verify(std::string_view stored, std::string_view password);
  // Takes as long as verify() of a hash of the default scheme: for a user whom nobody knows, so that a stopwatch does
  // not tell who exists.
  void verify_nobody(std::string_view password);
  // The keys in a stored hash for SCRAM; nothing: it is of another scheme, locked or broken.
  static std::optional<ScramKeys> scram_keys(std::string_view stored);
  // A new hash with fresh salt and its {SCHEME}. Refuses empty passwords, those with a NUL, longer ones than
  // password_size_max, and with bcrypt those of more than 72 bytes.
  static absl::StatusOr<std::string> hash(Scheme scheme, std::string_view password);

 private:
  // A share of the memory for Argon2, given back at the end of its scope.
  class MemoryShare;

  Verification verify_argon2(const std::string& encoded, std::string_view password);

  const Options options_;
  std::mutex lock_;
  std::condition_variable freed_;
  uint32_t free_kib_;
  std::string nobody_;  // the hash of a password that nobody knows
};

}  // namespace postern::helper
