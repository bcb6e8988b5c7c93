// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/passwords/password_schemes.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace postern::helper {
namespace {

constexpr bool weak = true;

constexpr StoredScheme schemes[] = {
    {.word = "CRYPT", .begins = {"$y$", "$gy$", "$7$"}},
    {.word = "BLF-CRYPT", .begins = {"$2a$", "$2b$", "$2y$"}},
    {.word = "SHA512-CRYPT", .begins = {"$6$"}},
    {.word = "SHA256-CRYPT", .begins = {"$5$"}},
    {.word = "MD5-CRYPT", .weak = weak, .begins = {"$1$"}},
    {.word = "SHA1-CRYPT", .weak = weak, .begins = {"$sha1$"}},
    {.word = "SUNMD5-CRYPT", .weak = weak, .begins = {"$md5$", "$md5,"}},
    {.word = "DES-CRYPT", .weak = weak},
    {.word = "APR1-CRYPT", .method = Method::Apr1, .weak = weak, .begins = {"$apr1$"}},
    {.word = "ARGON2ID", .method = Method::Argon2, .begins = {"$argon2id$"}},
    {.word = "ARGON2I", .method = Method::Argon2, .begins = {"$argon2i$"}},
    {.word = "SCRAM-SHA-256", .method = Method::Scram, .digest = Digest::Sha256},
    {.word = "SCRAM-SHA-1", .method = Method::Scram, .digest = Digest::Sha1},
    {.word = "PBKDF2", .method = Method::Pbkdf2, .begins = {"$1$"}},
    {.word = "SSHA", .method = Method::Digest, .digest = Digest::Sha1, .salted = true},
    {.word = "SSHA256", .method = Method::Digest, .digest = Digest::Sha256, .salted = true},
    {.word = "SSHA512", .method = Method::Digest, .digest = Digest::Sha512, .salted = true},
    {.word = "SHA256", .method = Method::Digest, .digest = Digest::Sha256},
    {.word = "SHA512", .method = Method::Digest, .digest = Digest::Sha512},
    {.word = "SHA1", .method = Method::Digest, .weak = weak, .digest = Digest::Sha1},
    {.word = "SMD5", .method = Method::Digest, .weak = weak, .digest = Digest::Md5, .salted = true},
    {.word = "PLAIN-MD5", .method = Method::Digest, .weak = weak, .digest = Digest::Md5},
    {.word = "LDAP-MD5", .method = Method::Digest, .weak = weak, .digest = Digest::Md5},
    {.word = "PLAIN", .method = Method::Plain},
};

struct Alias {
  std::string_view word, meant;
};
constexpr Alias aliases[] = {{"SHA", "SHA1"}, {"CLEARTEXT", "PLAIN"}, {"CLEAR", "PLAIN"}};

// What Dovecot has and we do not. Other words are not shown in the log: somebody's password may begin with a brace.
constexpr std::string_view unsupported[] = {"HMAC-MD5",  "CRAM-MD5",    "DIGEST-MD5", "OTP",
                                            "PLAIN-MD4", "PLAIN-TRUNC", "LANMAN",     "NTLM"};
// Likewise of crypt(5) and Argon2.
constexpr std::string_view unsupported_begins[] = {"$2x$", "$3$", "$argon2d$"};

constexpr bool is_weak(const StoredScheme& scheme) {
  return scheme.weak;
}

// As large as the table says, at compile time.
constexpr auto weak_words = [] {
  std::array<std::string_view, std::count_if(std::begin(schemes), std::end(schemes), is_weak)> words;
  size_t next = 0;
  for (const StoredScheme& scheme : schemes) {
    if (scheme.weak) words[next++] = scheme.word;
  }
  return words;
}();

// Abseil's own kind of view.
absl::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

bool same_word(std::string_view left, std::string_view right) {
  return absl::EqualsIgnoreCase(view(left), view(right));
}

const StoredScheme* find_word(std::string_view word) {
  for (const Alias& alias : aliases) {
    if (same_word(word, alias.word)) word = alias.meant;
  }
  for (const StoredScheme& scheme : schemes) {
    if (same_word(word, scheme.word)) return &scheme;
  }
  return nullptr;
}

// The oldest hashes have no mark, only their form: two letters of salt and eleven for each eight octets of the password
// (bigcrypt, which slappasswd makes, where there is more than one such group), or BSDi's underscore and nineteen.
bool looks_like_des(std::string_view hash) {
  const bool extended = hash.size() == 20 && hash.starts_with('_');
  const bool grouped = hash.size() >= 13 && hash.size() <= 2 + 16 * 11 && hash.size() % 11 == 2;
  return (extended || grouped) && std::all_of(hash.begin() + (extended ? 1 : 0), hash.end(), [](char c) {
           return (c >= '.' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
         });
}

bool begins_like(const StoredScheme& scheme, std::string_view hash) {
  if (scheme.word == "DES-CRYPT") return looks_like_des(hash);
  return scheme.begins[0].empty() ||
         std::any_of(std::begin(scheme.begins), std::end(scheme.begins),
                     [&](std::string_view begin) { return !begin.empty() && hash.starts_with(begin); });
}

// By how it begins: what {CRYPT} may hold, and with `argon2` what may stand without a {SCHEME}.
const StoredScheme* find_marked(std::string_view hash, bool argon2) {
  for (const StoredScheme& scheme : schemes) {
    const bool marked =
        scheme.method == Method::Crypt || scheme.method == Method::Apr1 || (argon2 && scheme.method == Method::Argon2);
    if (marked && begins_like(scheme, hash)) return &scheme;
  }
  return nullptr;
}

// What may be said of a hash that nobody knows.
std::string kind_of(std::string_view hash) {
  for (const std::string_view begin : unsupported_begins) {
    if (hash.starts_with(begin)) return "the hash " + std::string(begin);
  }
  for (const StoredScheme& scheme : schemes) {
    for (const std::string_view begin : scheme.begins) {
      if (!begin.empty() && hash.starts_with(begin)) return "the hash " + std::string(begin);
    }
  }
  return "an unmarked hash";
}

StoredHash faulty(std::string fault) {
  StoredHash result;
  result.fault = std::move(fault);
  return result;
}

enum class Encoding : uint8_t { None, Hex, Base64 };

std::optional<Encoding> parse_encoding(std::string_view suffix) {
  if (same_word(suffix, "HEX")) return Encoding::Hex;
  if (same_word(suffix, "B64")) return Encoding::Base64;
  if (same_word(suffix, "BASE64")) return Encoding::Base64;
  return std::nullopt;
}

// What the scheme's hashes are written in where no suffix says it. Dovecot takes both for digests of a fixed size,
// which their length tells apart.
Encoding usual_encoding(const StoredScheme& scheme, std::string_view hash) {
  if (scheme.method != Method::Digest) return Encoding::None;
  return !scheme.salted && hash.size() == 2 * digest_size(scheme.digest) ? Encoding::Hex : Encoding::Base64;
}

std::optional<Secret> decode(Encoding encoding, std::string_view text) {
  if (encoding == Encoding::None) return Secret(text);
  std::string bytes;
  if (encoding == Encoding::Base64) {
    if (!absl::Base64Unescape(view(text), &bytes)) return std::nullopt;
    return Secret::take(bytes);
  }
  const bool is_hex = text.size() % 2 == 0 && std::all_of(text.begin(), text.end(), [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                      });
  if (!is_hex) return std::nullopt;
  bytes = absl::HexStringToBytes(view(text));
  return Secret::take(bytes);
}

// What is behind {SCHEME}, taken for what it says it is.
StoredHash take_named(const StoredScheme& named, std::optional<Encoding> encoding, std::string_view text) {
  StoredHash result;
  std::optional<Secret> hash = decode(encoding.value_or(usual_encoding(named, text)), text);
  if (!hash) return faulty("the hash behind {" + std::string(named.word) + "} is broken: its encoding is wrong");
  result.scheme = &named;
  result.locked = named.method == Method::Crypt && is_locked(hash->reveal());
  if (!result.locked && named.word == "CRYPT") result.scheme = find_marked(hash->reveal(), false);
  if (!result.locked && (result.scheme == nullptr || !begins_like(*result.scheme, hash->reveal()))) {
    return faulty(kind_of(hash->reveal()) + " behind {" + std::string(named.word) + "} is unknown there or broken");
  }
  result.hash = *std::move(hash);
  return result;
}

}  // namespace

size_t digest_size(Digest digest) {
  switch (digest) {
    case Digest::Md5: return 16;
    case Digest::Sha1: return 20;
    case Digest::Sha256: return 32;
    case Digest::Sha512: return 64;
  }
  return 0;
}

bool is_locked(std::string_view stored) {
  return stored.empty() || stored[0] == '!' || stored[0] == '*';
}

std::span<const std::string_view> weak_scheme_words() {
  return weak_words;
}

StoredHash take_apart(std::string_view stored) {
  if (!stored.starts_with('{')) {
    StoredHash result;
    result.scheme = find_marked(stored, true);
    if (result.scheme == nullptr) return faulty(kind_of(stored) + " is of an unknown scheme");
    result.hash = Secret(stored);
    return result;
  }
  const size_t close = stored.find('}');
  if (close == stored.npos) return faulty("the scheme has no closing brace");
  std::string_view word = stored.substr(1, close - 1);
  const std::string_view hash = stored.substr(close + 1);
  std::optional<Encoding> encoding;
  if (const size_t dot = word.find('.'); dot != word.npos) {
    encoding = parse_encoding(word.substr(dot + 1));
    if (!encoding) return faulty("the scheme has an unknown encoding; there are .hex, .b64 and .base64");
    word = word.substr(0, dot);
  }
  // Dovecot's word for two things; see its md5_verify().
  if (same_word(word, "MD5")) {
    const std::optional<Secret> text = decode(encoding.value_or(Encoding::None), hash);
    word = text && text->reveal().starts_with("$1$") ? "MD5-CRYPT" : "PLAIN-MD5";
  }
  if (const StoredScheme* named = find_word(word)) return take_named(*named, encoding, hash);
  for (const std::string_view known : unsupported) {
    if (same_word(word, known)) {
      return faulty("the scheme " + std::string(known) + " is not supported");
    }
  }
  return faulty("the scheme in braces is unknown");
}

}  // namespace postern::helper
