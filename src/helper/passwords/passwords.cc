// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/passwords/passwords.h"

#include <argon2.h>
#include <crypt.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "base/check.h"
#include "helper/passwords/scram.h"

namespace postern::helper {
namespace {

// RFC 9106's second choice (64 MiB, three passes) takes 0.4 s of a core and would let four logins a second wait for
// each other. These 19 MiB and two passes, with one lane because other logins keep the other cores busy, cost a guesser
// about as much as the other schemes here.
constexpr uint32_t argon2_passes = 2;
constexpr uint32_t argon2_memory_kib = 19 * 1024;
constexpr uint32_t argon2_lanes = 1;
constexpr size_t argon2_salt_size = 16;
constexpr size_t argon2_hash_size = 32;
constexpr size_t bcrypt_size_max = 72;

struct SchemeEntry {
  Scheme scheme;
  std::string_view word;
  std::string_view prefix;  // what hash() puts before the hash
  Method method;
  std::string_view family;  // what hashes that are as good begin with
  const char* setting;      // crypt_gensalt's prefix; nullptr: not crypt's
  unsigned long cost;       // crypt_gensalt's count; 0: libcrypt's default
};

// libcrypt's defaults for SHA-2 and bcrypt are those of twenty years ago; these take some 50 ms, like yescrypt's. Its
// default for scrypt takes 64 MiB and twice the time of this one.
constexpr SchemeEntry schemes[] = {
    {Scheme::Yescrypt, "yescrypt", "{CRYPT}", Method::Crypt, "$y$", "$y$", 0},
    {Scheme::GostYescrypt, "gost-yescrypt", "{CRYPT}", Method::Crypt, "$gy$", "$gy$", 0},
    {Scheme::Scrypt, "scrypt", "{CRYPT}", Method::Crypt, "$7$", "$7$", 6},
    {Scheme::Bcrypt, "bcrypt", "{BLF-CRYPT}", Method::Crypt, "$2", "$2b$", 10},
    {Scheme::Sha512, "sha512", "{SHA512-CRYPT}", Method::Crypt, "$6$", "$6$", 100000},
    {Scheme::Sha256, "sha256", "{SHA256-CRYPT}", Method::Crypt, "$5$", "$5$", 100000},
    {Scheme::Argon2id, "argon2id", "{ARGON2ID}", Method::Argon2, "$argon2id$", nullptr, 0},
    {Scheme::ScramSha256, "scram-sha-256", "{SCRAM-SHA-256}", Method::Scram, "", nullptr, 0},
};

const SchemeEntry& entry_of(Scheme scheme) {
  for (const SchemeEntry& entry : schemes) {
    if (entry.scheme == scheme) return entry;
  }
  CHECK(!"every scheme is in the table");
  return schemes[0];
}

bool is_scram_login(const StoredScheme& scheme) {
  return scheme.method == Method::Scram && scheme.digest == Digest::Sha256;
}

// Computed in no time: a stopwatch would tell a wrong password from an unknown user.
bool is_instant(const StoredScheme& scheme) {
  return scheme.method == Method::Digest || scheme.method == Method::Plain;
}

// A C string for libcrypt, wiped at the end of its scope.
class CString {
 public:
  explicit CString(std::string_view text) : text_(text) { text_.append(1, '\0'); }
  ~CString() { wipe(text_); }
  CString(const CString&) = delete;
  CString& operator=(const CString&) = delete;
  const char* get() const { return text_.data(); }

 private:
  std::string text_;
};

// The hash of `password` by the setting (or the hash) given; empty if libcrypt refuses it.
std::string crypt_text(const char* setting, std::string_view password) {
  // 32 KiB: too large for the stack of a thread that somebody else sized.
  const auto data = std::make_unique<crypt_data>();
  const CString phrase(password);
  const char* hash = crypt_rn(phrase.get(), setting, data.get(), sizeof *data);
  std::string text = hash != nullptr && hash[0] != '*' ? hash : "";
  wipe(data.get(), sizeof *data);
  return text;
}

Verification verify_crypt(const StoredScheme& scheme, std::string_view hash, std::string_view password) {
  const CString setting(hash);
  const Secret computed(crypt_text(setting.get(), password));
  const std::string broken = "the " + std::string(scheme.word) + " hash is broken: ";
  if (computed.empty()) return cannot_say(broken + "libcrypt refuses it");
  // A column of the database may have been too short for it, and nothing could ever match. Bigcrypt's size goes with the
  // password's.
  if (computed.size() != hash.size() && scheme.word != "DES-CRYPT") return cannot_say(broken + "its size is wrong");
  return compare(computed.reveal(), hash);
}

Verification verify_scram(Digest digest, std::string_view hash, std::string_view password) {
  const std::optional<ScramKeys> keys = read_scram(hash, digest);
  if (!keys) return cannot_say("the SCRAM keys are broken: iterations,salt,stored key,server key are wanted");
  // HMAC fills a short key up with zeros: "secret\0" would pass for "secret".
  const bool whole = password.find('\0') == password.npos;
  const std::optional<ScramKeys> made = make_scram(password, keys->salt, keys->iterations, digest);
  if (!made) return cannot_say("the SCRAM keys cannot be computed");
  return {whole && made->stored_key == keys->stored_key ? Match::Yes : Match::No, ""};
}

std::string hash_scram(std::string_view password) {
  std::string salt(ScramKeys::salt_size_usual, '\0');
  if (getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size())) return "";
  const std::optional<ScramKeys> keys = make_scram(password, std::move(salt), ScramKeys::iterations_usual);
  return keys ? write_scram(*keys) : "";
}

// The m= of an encoded Argon2 string; nullopt if it has none.
std::optional<uint32_t> memory_of(std::string_view encoded) {
  size_t at = encoded.find("$m=");
  if (at == encoded.npos) return std::nullopt;
  at += 3;
  uint32_t kib = 0;
  const auto [end, error] = std::from_chars(encoded.data() + at, encoded.data() + encoded.size(), kib);
  if (error != std::errc()) return std::nullopt;
  return kib;
}

std::string hash_argon2id(std::string_view password) {
  uint8_t salt[argon2_salt_size];
  if (getrandom(salt, sizeof salt, 0) != static_cast<ssize_t>(sizeof salt)) return "";
  const size_t room =
      argon2_encodedlen(argon2_passes, argon2_memory_kib, argon2_lanes, argon2_salt_size, argon2_hash_size, Argon2_id);
  std::string encoded(room, '\0');
  const int result = argon2id_hash_encoded(argon2_passes, argon2_memory_kib, argon2_lanes, password.data(),
                                           password.size(), salt, sizeof salt, argon2_hash_size, encoded.data(), room);
  if (result != ARGON2_OK) return "";
  encoded.resize(strlen(encoded.c_str()));
  return encoded;
}

}  // namespace

std::string_view scheme_word(Scheme scheme) {
  return entry_of(scheme).word;
}

std::optional<Scheme> parse_scheme(std::string_view word) {
  for (const SchemeEntry& entry : schemes) {
    if (entry.word == word) return entry.scheme;
  }
  return std::nullopt;
}

std::string scheme_words() {
  std::string text;
  for (const SchemeEntry& entry : schemes)
    text += (text.empty() ? "" : ", ") + std::string(entry.word);
  return text;
}

class Passwords::MemoryShare {
 public:
  MemoryShare(Passwords& owner, uint32_t kib) : owner_(owner), kib_(kib) {
    std::unique_lock lock(owner_.lock_);
    owner_.freed_.wait(lock, [&] { return owner_.free_kib_ >= kib_; });
    owner_.free_kib_ -= kib_;
  }
  ~MemoryShare() {
    const std::lock_guard lock(owner_.lock_);
    owner_.free_kib_ += kib_;
    owner_.freed_.notify_all();
  }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

 private:
  Passwords& owner_;
  const uint32_t kib_;
};

Passwords::Passwords(const Options& options) : options_(options), free_kib_(options.argon2_memory_kib) {
  static constexpr char digits[] = "0123456789abcdef";
  unsigned char bytes[16];
  CHECK(getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  std::string unknown;
  for (const unsigned char byte : bytes)
    unknown.append({digits[byte >> 4], digits[byte & 15]});
  nobody_ = hash(options.scheme, unknown).value_or("");
}

Secret Passwords::make_password() {
  static constexpr std::string_view letters = "abcdefghjkmnpqrstuvwxyz23456789";
  static constexpr size_t count = 24, group = 4;
  // Of a byte only what is below a multiple of their number is used, so that none is likelier than another.
  static constexpr size_t limit = 256 / letters.size() * letters.size();
  std::string text;
  text.reserve(count + count / group);
  for (size_t made = 0; made < count;) {
    unsigned char byte = 0;
    CHECK(getrandom(&byte, 1, 0) == 1);
    if (byte >= limit) continue;
    if (made != 0 && made % group == 0) text += '-';
    text += letters[byte % letters.size()];
    ++made;
  }
  return Secret::take(text);
}

Verification Passwords::verify(std::string_view stored, std::string_view password) {
  if (password.empty()) return {Match::No, ""};
  // For libcrypt a password ends at a NUL, and HMAC fills its key up with NULs: "secret\0" would pass for "secret".
  if (is_locked(stored) || password.size() > password_size_max || password.find('\0') != password.npos) {
    verify_nobody(password);
    return {Match::No, ""};
  }
  const StoredHash apart = take_apart(stored);
  if (apart.scheme == nullptr) return cannot_say(apart.fault);
  if (!allows(*apart.scheme)) {
    const std::string word(apart.scheme->word);
    return cannot_say("the scheme " + word + " is weak and does not count; weak_schemes = [\"" + word +
                      "\"] in the configuration would let it");
  }
  Verification verification = verify_apart(apart, password);
  if (verification.match == Match::No && (apart.locked || is_instant(*apart.scheme))) verify_nobody(password);
  return verification;
}

bool Passwords::allows(const StoredScheme& scheme) const {
  return !scheme.weak || std::find(options_.weak_schemes.begin(), options_.weak_schemes.end(), scheme.word) !=
                             options_.weak_schemes.end();
}

Verification Passwords::verify_apart(const StoredHash& stored, std::string_view password) {
  const std::string_view hash = stored.hash.reveal();
  if (stored.locked) return {Match::No, ""};
  switch (stored.scheme->method) {
    case Method::Crypt: return verify_crypt(*stored.scheme, hash, password);
    case Method::Apr1: return verify_apr1(hash, password);
    case Method::Argon2: return verify_argon2(std::string(hash), password);
    case Method::Scram: return verify_scram(stored.scheme->digest, hash, password);
    case Method::Pbkdf2: return verify_pbkdf2(hash, password);
    case Method::Digest: return verify_digest(*stored.scheme, hash, password);
    case Method::Plain: return hash.empty() ? Verification{} : compare(password, hash);
  }
  return cannot_say("the scheme is unknown");
}

Verification Passwords::verify_argon2(const std::string& encoded, std::string_view password) {
  const std::optional<uint32_t> kib = memory_of(encoded);
  if (!kib) return cannot_say("the Argon2 hash is broken: it does not say its memory");
  if (*kib > options_.argon2_memory_kib) {
    return cannot_say("the Argon2 hash needs " + std::to_string(*kib) + " KiB of memory and argon2_memory allows " +
                      std::to_string(options_.argon2_memory_kib) + " KiB");
  }
  const MemoryShare share(*this, *kib);
  const argon2_type type = encoded.starts_with("$argon2id$") ? Argon2_id : Argon2_i;
  const int result = argon2_verify(encoded.c_str(), password.data(), password.size(), type);
  if (result == ARGON2_OK) return {Match::Yes, ""};
  if (result == ARGON2_VERIFY_MISMATCH) return {Match::No, ""};
  return cannot_say(std::string("the Argon2 hash cannot be computed: ") + argon2_error_message(result));
}

void Passwords::verify_nobody(std::string_view password) {
  if (nobody_.empty() || password.empty()) return;
  static_cast<void>(verify(nobody_, password.substr(0, std::min(password.find('\0'), password_size_max))));
}

std::optional<Secret> Passwords::renewed(std::string_view stored, std::string_view password) {
  if (!options_.upgrade_schemes) return std::nullopt;
  const StoredHash apart = take_apart(stored);
  if (apart.scheme == nullptr || is_scram_login(*apart.scheme)) return std::nullopt;
  const SchemeEntry& wanted = entry_of(options_.scheme);
  const bool good = apart.scheme->method == wanted.method && apart.hash.reveal().starts_with(wanted.family);
  if (good && wanted.method != Method::Scram) return std::nullopt;
  const uint32_t kib = options_.scheme == Scheme::Argon2id ? argon2_memory_kib : 0;
  if (kib > options_.argon2_memory_kib) return std::nullopt;
  const MemoryShare share(*this, kib);
  absl::StatusOr<std::string> hashed = hash(options_.scheme, password);
  if (!hashed.ok()) return std::nullopt;
  return Secret::take(*hashed);
}

std::optional<ScramKeys> Passwords::scram_keys(std::string_view stored) {
  if (is_locked(stored)) return std::nullopt;
  const StoredHash apart = take_apart(stored);
  if (apart.scheme == nullptr || !is_scram_login(*apart.scheme)) return std::nullopt;
  return read_scram(apart.hash.reveal());
}

absl::StatusOr<std::string> Passwords::hash(Scheme scheme, std::string_view password) {
  const SchemeEntry& entry = entry_of(scheme);
  if (password.empty()) return absl::InvalidArgumentError("The password is empty.");
  if (password.find('\0') != password.npos) return absl::InvalidArgumentError("The password holds a NUL byte.");
  if (password.size() > password_size_max) {
    return absl::InvalidArgumentError("The password is longer than " + std::to_string(password_size_max) + " bytes.");
  }
  if (scheme == Scheme::Bcrypt && password.size() > bcrypt_size_max) {
    return absl::InvalidArgumentError(
        "bcrypt looks at the first 72 bytes of a password only, and this one is longer. Choose another scheme.");
  }
  std::string hashed;
  if (scheme == Scheme::ScramSha256) {
    hashed = hash_scram(password);
  } else if (entry.setting == nullptr) {
    hashed = hash_argon2id(password);
  } else {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn(entry.setting, entry.cost, nullptr, 0, setting, sizeof setting) != nullptr) {
      hashed = crypt_text(setting, password);
    }
  }
  if (hashed.empty()) {
    return absl::InternalError("This system cannot compute the scheme " + std::string(entry.word) + ".");
  }
  return std::string(entry.prefix) + hashed;
}

}  // namespace postern::helper
