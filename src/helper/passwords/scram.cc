// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/passwords/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "helper/passwords/password_digests.h"

namespace postern::helper {
namespace {

bool decode(std::string_view base64, std::string& bytes) {
  return absl::Base64Unescape({base64.data(), base64.size()}, &bytes);
}

std::string encode(std::string_view bytes) {
  return absl::Base64Escape({bytes.data(), bytes.size()});
}

// Empty: OpenSSL refuses.
std::string hmac(Digest algorithm, std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(evp_digest(algorithm), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size) == nullptr) {
    return {};
  }
  std::string bytes(reinterpret_cast<const char*>(digest), size);
  wipe(digest, sizeof digest);
  return bytes;
}

}  // namespace

std::optional<ScramKeys> read_scram(std::string_view hash, Digest digest) {
  std::vector<std::string_view> fields;
  while (fields.size() < 4) {
    const size_t comma = hash.find(',');
    fields.push_back(hash.substr(0, comma));
    if (comma == hash.npos) break;
    hash.remove_prefix(comma + 1);
  }
  if (fields.size() != 4 || fields[3].find(',') != std::string_view::npos) return std::nullopt;
  uint32_t iterations = 0;
  const char* const end = fields[0].data() + fields[0].size();
  if (std::from_chars(fields[0].data(), end, iterations).ptr != end) return std::nullopt;
  if (iterations < ScramKeys::iterations_min || iterations > ScramKeys::iterations_max) return std::nullopt;
  std::string salt, stored_key, server_key;
  if (!decode(fields[1], salt) || !decode(fields[2], stored_key) || !decode(fields[3], server_key)) return std::nullopt;
  const bool sound = !salt.empty() && salt.size() <= ScramKeys::salt_size_max &&
                     stored_key.size() == digest_size(digest) && server_key.size() == digest_size(digest);
  if (!sound) return std::nullopt;
  return ScramKeys{iterations, std::move(salt), Secret::take(stored_key), Secret::take(server_key)};
}

std::string write_scram(const ScramKeys& keys) {
  return std::to_string(keys.iterations) + "," + encode(keys.salt) + "," + encode(keys.stored_key.reveal()) + "," +
         encode(keys.server_key.reveal());
}

std::optional<ScramKeys> make_scram(std::string_view password, std::string salt, uint32_t iterations, Digest digest) {
  unsigned char salted[EVP_MAX_MD_SIZE];
  const size_t key_size = digest_size(digest);
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                        reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), evp_digest(digest), static_cast<int>(key_size), salted) != 1) {
    return std::nullopt;
  }
  const std::string_view key(reinterpret_cast<const char*>(salted), key_size);
  std::string client_key = hmac(digest, key, "Client Key");
  std::string server_key = hmac(digest, key, "Server Key");
  wipe(salted, sizeof salted);
  unsigned char stored[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const bool hashed = EVP_Digest(client_key.data(), client_key.size(), stored, &size, evp_digest(digest), nullptr) == 1;
  wipe(client_key);
  if (!hashed || server_key.size() != key_size) return std::nullopt;
  std::string stored_key(reinterpret_cast<const char*>(stored), size);
  wipe(stored, sizeof stored);
  return ScramKeys{iterations, std::move(salt), Secret::take(stored_key), Secret::take(server_key)};
}

}  // namespace postern::helper
