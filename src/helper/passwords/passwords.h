// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords against their stored hashes, in the schemes that mail sites have.
//
// A stored hash is what Dovecot, htpasswd, LDAP servers or passwd(5) keep: an optional {SCHEME} and then the hash.
//   {CRYPT}  or nothing   what crypt(5) of this system calls strong: yescrypt $y$, gost-yescrypt $gy$, scrypt $7$,
//                         bcrypt $2a$ $2b$ $2y$, SHA-512 $6$, SHA-256 $5$; without {CRYPT} also Argon2's $argon2id$ and
//                         $argon2i$
//   {BLF-CRYPT} {SHA512-CRYPT} {SHA256-CRYPT}   the same, of that one kind
//   {ARGON2ID} {ARGON2I}  Argon2's encoded string
//   {PBKDF2}              Dovecot's $1$salt$rounds$hex, with HMAC-SHA-1
//   {SCRAM-SHA-256}       see scram.h; the only form of which SCRAM logins can be verified
//   {SCRAM-SHA-1}         the same with SHA-1
//   {SSHA} {SSHA256} {SSHA512} {SHA256} {SHA512}   digests, with salt and without
//   {PLAIN} {CLEARTEXT} {CLEAR}   the password itself
//   empty, or beginning with "!" or "*", also behind {CRYPT}   a locked password (shadow(5)): nothing matches
// {SCHEME.hex}, {SCHEME.b64} and {SCHEME.base64} say that what follows is written so.
//
// Weak ones count only where weak_schemes names them:
//   MD5-CRYPT $1$, APR1-CRYPT $apr1$, SHA1-CRYPT $sha1$, SUNMD5-CRYPT $md5, DES-CRYPT of 13 letters or with an underscore
//   SHA1 ({SHA} too), SMD5, PLAIN-MD5, LDAP-MD5; {MD5} is MD5-CRYPT or PLAIN-MD5, as with Dovecot
// Of what is weak, unknown or broken nobody can say whether the password was right: that is a failure, not a mismatch,
// or a migration would tell all its users that they forgot their passwords.
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
#include <vector>

#include "absl/status/statusor.h"
#include "base/scram_keys.h"
#include "base/secret.h"
#include "helper/passwords/password_digests.h"
#include "helper/passwords/password_schemes.h"

namespace postern::helper {

// What new passwords are hashed with.
enum class Scheme : uint8_t { Yescrypt, GostYescrypt, Scrypt, Bcrypt, Sha512, Sha256, Argon2id, ScramSha256 };

// "yescrypt", "gost-yescrypt", "scrypt", "bcrypt", "sha512", "sha256", "argon2id", "scram-sha-256".
std::string_view scheme_word(Scheme scheme);
std::optional<Scheme> parse_scheme(std::string_view word);
// All of them, with commas, for sentences.
std::string scheme_words();

// Longer passwords match nothing; libcrypt has the same limit.
inline constexpr size_t password_size_max = 511;

class Passwords {
 public:
  struct Options {
    Scheme scheme = Scheme::Yescrypt;
    // Argon2 hashes under way together use at most so much memory; one that needs more by itself is CannotSay.
    uint32_t argon2_memory_kib = 256 * 1024;
    // Of weak_scheme_words(): those that count nevertheless.
    std::vector<std::string> weak_schemes;
    // Whether renewed() renews.
    bool upgrade_schemes = false;
  };

  // Hashes once, to have something that costs as much as a real user.
  explicit Passwords(const Options& options);

  // Takes as long as the hash is made to take, and with a wrong password no less than verify_nobody() where the hash is
  // a mere digest; from any thread. An empty password is always No,
  // and so is one with a NUL.
  Verification verify(std::string_view stored, std::string_view password);
  // Takes as long as verify() of a hash of the default scheme: for a user whom nobody knows, so that a stopwatch does
  // not tell who exists.
  void verify_nobody(std::string_view password);
  // A hash of the configured scheme instead of `stored`, which is weak or of another kind and of this password. Nothing:
  // it stays, because upgrades are off, it is good, or this password cannot be hashed so (bcrypt's 72 bytes). SCRAM keys
  // stay too: somebody logs in with them who would be locked out.
  std::optional<Secret> renewed(std::string_view stored, std::string_view password);
  // The keys in a stored hash for SCRAM; nothing: it is of another scheme, locked or broken.
  static std::optional<ScramKeys> scram_keys(std::string_view stored);
  // A password that nobody has thought of, for a program: 24 small letters and digits, without those that are taken for
  // each other, in groups of four with hyphens between, 118 bits in all.
  static Secret make_password();
  // A new hash with fresh salt and its {SCHEME}. Refuses empty passwords, those with a NUL, longer ones than
  // password_size_max, and with bcrypt those of more than 72 bytes.
  static absl::StatusOr<std::string> hash(Scheme scheme, std::string_view password);

 private:
  // A share of the memory for Argon2, given back at the end of its scope.
  class MemoryShare;

  bool allows(const StoredScheme& scheme) const;
  Verification verify_apart(const StoredHash& stored, std::string_view password);
  Verification verify_argon2(const std::string& encoded, std::string_view password);

  const Options options_;
  std::mutex lock_;
  std::condition_variable freed_;
  uint32_t free_kib_;
  std::string nobody_;  // the hash of a password that nobody knows
};

}  // namespace postern::helper
