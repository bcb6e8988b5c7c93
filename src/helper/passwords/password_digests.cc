// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/passwords/password_digests.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace postern::helper {
namespace {

// These take some seconds of a core, and the gate gives up after a few.
constexpr uint32_t pbkdf2_rounds_max = 10000000;
constexpr std::string_view pbkdf2_mark = "$1$";
constexpr std::string_view apr1_mark = "$apr1$";
constexpr size_t apr1_salt_size_max = 8;
constexpr size_t apr1_hash_size = 22;
constexpr int apr1_rounds = 1000;

std::string_view view(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// The digest of pieces that are fed one after the other; wiped at the end of its scope.
class Hasher {
 public:
  explicit Hasher(Digest digest) : context_(EVP_MD_CTX_new()), digest_(digest) { begin(); }
  ~Hasher() {
    EVP_MD_CTX_free(context_);
    wipe(result_, sizeof result_);
  }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void begin() {
    good_ = good_ && context_ != nullptr && EVP_DigestInit_ex(context_, evp_digest(digest_), nullptr) == 1;
  }
  void add(std::string_view piece) { good_ = good_ && EVP_DigestUpdate(context_, piece.data(), piece.size()) == 1; }
  // Valid until the next end(). Empty: OpenSSL refuses, for want of memory or by a policy against old digests.
  std::string_view end() {
    unsigned size = 0;
    good_ = good_ && EVP_DigestFinal_ex(context_, result_, &size) == 1;
    return good_ ? view(result_, size) : std::string_view();
  }

 private:
  EVP_MD_CTX* const context_;
  const Digest digest_;
  bool good_ = true;
  unsigned char result_[EVP_MAX_MD_SIZE];
};

Verification broken(std::string_view word, const std::string& why) {
  return cannot_say("the " + std::string(word) + " hash is broken: " + why);
}

Verification refused(std::string_view word) {
  return cannot_say("OpenSSL refuses to compute " + std::string(word));
}

// The sixteen octets of apr1 as text: groups of three, mixed up, six bits a letter from the low end on.
std::string apr1_text(std::string_view octets) {
  static constexpr char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  static constexpr int groups[][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
  const auto octet = [&](int index) { return uint32_t{static_cast<unsigned char>(octets[index])}; };
  std::string text;
  const auto put = [&](uint32_t bits, int count) {
    for (; count > 0; --count, bits >>= 6)
      text += letters[bits & 63];
  };
  for (const auto& group : groups)
    put(octet(group[0]) << 16 | octet(group[1]) << 8 | octet(group[2]), 4);
  put(octet(11), 2);
  return text;
}

// What MD5-CRYPT does, with another mark; libcrypt has only $1$, and apr-util would bring a database library along for
// these lines. Empty: OpenSSL refuses.
std::string compute_apr1(std::string_view password, std::string_view salt) {
  Hasher hasher(Digest::Md5);
  for (const std::string_view piece : {password, salt, password})
    hasher.add(piece);
  Secret state(hasher.end());
  if (state.empty()) return "";
  hasher.begin();
  for (const std::string_view piece : {password, apr1_mark, salt})
    hasher.add(piece);
  for (size_t left = password.size(); left > 0; left -= std::min(left, state.size()))
    hasher.add(state.reveal().substr(0, left));
  for (size_t bits = password.size(); bits > 0; bits >>= 1)
    hasher.add(bits & 1 ? std::string_view("\0", 1) : password.substr(0, 1));
  state = Secret(hasher.end());
  for (int round = 0; round < apr1_rounds; ++round) {
    hasher.begin();
    hasher.add(round % 2 != 0 ? password : state.reveal());
    if (round % 3 != 0) hasher.add(salt);
    if (round % 7 != 0) hasher.add(password);
    hasher.add(round % 2 != 0 ? state.reveal() : password);
    state = Secret(hasher.end());
  }
  return state.empty() ? "" : apr1_text(state.reveal());
}

}  // namespace

const EVP_MD* evp_digest(Digest digest) {
  switch (digest) {
    case Digest::Md5: return EVP_md5();
    case Digest::Sha1: return EVP_sha1();
    case Digest::Sha256: return EVP_sha256();
    case Digest::Sha512: return EVP_sha512();
  }
  return nullptr;
}

Verification cannot_say(std::string fault) {
  return {Match::CannotSay, std::move(fault)};
}

Verification compare(std::string_view computed, std::string_view stored) {
  return {Secret(computed) == Secret(stored) ? Match::Yes : Match::No, ""};
}

Verification verify_digest(const StoredScheme& scheme, std::string_view octets, std::string_view password) {
  const size_t size = digest_size(scheme.digest);
  if (scheme.salted ? octets.size() <= size : octets.size() != size) return broken(scheme.word, "its size is wrong");
  Hasher hasher(scheme.digest);
  hasher.add(password);
  hasher.add(octets.substr(size));
  const std::string_view computed = hasher.end();
  return computed.empty() ? refused(scheme.word) : compare(computed, octets.substr(0, size));
}

Verification verify_pbkdf2(std::string_view hash, std::string_view password) {
  hash.remove_prefix(pbkdf2_mark.size());
  const size_t salt_size = hash.find('$');
  const size_t rounds_end = salt_size == hash.npos ? hash.npos : hash.find('$', salt_size + 1);
  if (rounds_end == hash.npos) return broken("PBKDF2", "$1$salt$rounds$hex is wanted");
  uint32_t rounds = 0;
  const char* const end = hash.data() + rounds_end;
  const auto [rest, error] = std::from_chars(hash.data() + salt_size + 1, end, rounds);
  if (error != std::errc() || rest != end || rounds == 0 || rounds > pbkdf2_rounds_max) {
    return broken("PBKDF2", "its rounds must be a number from 1 to " + std::to_string(pbkdf2_rounds_max));
  }
  unsigned char computed[20];
  const std::string_view stored = hash.substr(rounds_end + 1);
  if (stored.size() != 2 * sizeof computed) return broken("PBKDF2", "its size is wrong");
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                        reinterpret_cast<const unsigned char*>(hash.data()), static_cast<int>(salt_size),
                        static_cast<int>(rounds), EVP_sha1(), sizeof computed, computed) != 1) {
    return refused("PBKDF2");
  }
  const Secret text(absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(computed), sizeof computed)));
  wipe(computed, sizeof computed);
  return compare(text.reveal(), absl::AsciiStrToLower(absl::string_view(stored.data(), stored.size())));
}

Verification verify_apr1(std::string_view hash, std::string_view password) {
  const std::string_view body = hash.substr(apr1_mark.size());
  const size_t salt_size = body.find('$');
  if (salt_size == body.npos || salt_size > apr1_salt_size_max || body.size() != salt_size + 1 + apr1_hash_size) {
    return broken("APR1-CRYPT", "its size is wrong");
  }
  const Secret computed(compute_apr1(password, body.substr(0, salt_size)));
  return computed.empty() ? refused("APR1-CRYPT") : compare(computed.reveal(), body.substr(salt_size + 1));
}

}  // namespace postern::helper
