// SPDX-License-Identifier: GPL-3.0-or-later
// Signatures of JSON Web Tokens (RFC 7515), and the keys that verify them (RFC 7517). The only file that knows cjose.
#pragma once

#include <cjose/cjose.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::helper {

// Those that cjose verifies with a public key. None and HMAC are none of them: anybody could sign with what is public.
std::span<const std::string_view> signature_algorithms();

// Immutable, so that many questions may use it at once.
class JwtKeys {
 public:
  // A JWKS document. Keys for other purposes, of other kinds or too weak are passed over; with none left it is a Status.
  static absl::StatusOr<JwtKeys> parse(std::string_view jwks);

  // The claims of a token with a good signature by one of the `algorithms`. NotFound: its key is none of these.
  // PermissionDenied: all else that is wrong with it.
  absl::StatusOr<std::string> verify(std::string_view token, std::span<const std::string> algorithms) const;

  size_t size() const { return keys_.size(); }

 private:
  struct Release {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
  };
  struct Key {
    std::string id;         // empty: it has none
    std::string algorithm;  // empty: any that fits
    std::string family;     // "RSA", or the curve: "P-256"
    std::unique_ptr<cjose_jwk_t, Release> key;
  };

  std::vector<Key> keys_;
};

}  // namespace postern::helper
