// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/jwt.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace postern::helper {
namespace {

using nlohmann::json;

// Issuers have two or three. A token without a key's name tries them all, so a stranger's token costs as many.
constexpr size_t keys_max = 16;
// NIST SP 800-131A: shorter ones have not been good enough since 2013.
constexpr size_t rsa_bits_min = 2048;

constexpr std::string_view algorithms_known[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                                 "PS512", "ES256", "ES384", "ES512"};

struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
using Jws = std::unique_ptr<cjose_jws_t, ReleaseJws>;

// What a key must be for an algorithm: a curve belongs to its hash (RFC 7518, section 3.4), which cjose does not look at.
std::string_view family_of(std::string_view algorithm) {
  if (algorithm == "ES256") return "P-256";
  if (algorithm == "ES384") return "P-384";
  if (algorithm == "ES512") return "P-521";
  return "RSA";
}

absl::Status refused(std::string why) {
  return absl::PermissionDeniedError(std::move(why));
}

std::string text_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Jws import(std::string_view token) {
  cjose_err error;
  return Jws(cjose_jws_import(token.data(), token.size(), &error));
}

struct Header {
  std::string algorithm, key_id;
  bool is_critical = false;  // it has extensions that must be understood (RFC 7515, section 4.1.11); we know none
};

Header header_of(cjose_jws_t* jws) {
  cjose_err error;
  cjose_header_t* protected_header = cjose_jws_get_protected(jws);
  const auto text = [&](const char* key) {
    const char* value = cjose_header_get(protected_header, key, &error);
    return std::string(value != nullptr ? value : "");
  };
  Header header{text("alg"), text("kid"), false};
  if (char* critical = cjose_header_get_raw(protected_header, "crit", &error); critical != nullptr) {
    header.is_critical = true;
    cjose_get_dealloc()(critical);
  }
  return header;
}

// "RSA", or the curve; empty: this key verifies nothing of ours.
std::string family_of_key(const json& key) {
  const std::string use = text_in(key, "use");
  if (!use.empty() && use != "sig") return "";
  const std::string kind = text_in(key, "kty");
  return kind == "EC" ? text_in(key, "crv") : kind == "RSA" ? kind : "";
}

}  // namespace

std::span<const std::string_view> signature_algorithms() {
  return algorithms_known;
}

absl::StatusOr<JwtKeys> JwtKeys::parse(std::string_view jwks) {
  const json document = json::parse(jwks, nullptr, false);
  const auto list = document.is_object() ? document.find("keys") : document.end();
  if (!document.is_object() || list == document.end() || !list->is_array()) {
    return absl::InvalidArgumentError("it is no JWKS: a JSON object with a list \"keys\"");
  }
  JwtKeys keys;
  for (const json& item : *list) {
    if (!item.is_object() || keys.keys_.size() == keys_max) continue;
    Key key{text_in(item, "kid"), text_in(item, "alg"), family_of_key(item), nullptr};
    if (key.family.empty()) continue;
    const std::string text = item.dump();
    cjose_err error;
    key.key.reset(cjose_jwk_import(text.data(), text.size(), &error));
    if (key.key == nullptr) continue;
    if (key.family == "RSA" && cjose_jwk_get_keysize(key.key.get(), &error) < rsa_bits_min) continue;
    keys.keys_.push_back(std::move(key));
  }
  if (keys.keys_.empty()) {
    return absl::InvalidArgumentError(
        "it has no public key for signatures, of RSA with 2048 bits or of a curve P-256, "
        "P-384 or P-521");
  }
  return keys;
}

absl::StatusOr<std::string> JwtKeys::verify(std::string_view token, std::span<const std::string> algorithms) const {
  const Jws first = import(token);
  if (first == nullptr) return refused("the token is no signed JWT");
  const Header header = header_of(first.get());
  const auto is_known = std::find(std::begin(algorithms_known), std::end(algorithms_known), header.algorithm);
  const bool is_allowed = std::find(algorithms.begin(), algorithms.end(), header.algorithm) != algorithms.end();
  if (is_known == std::end(algorithms_known) || !is_allowed)
    return refused("the token is not signed by an allowed algorithm");
  if (header.is_critical) return refused("the token has extensions that nobody here knows");
  bool has_key = false;
  for (const Key& key : keys_) {
    if (!header.key_id.empty() && key.id != header.key_id) continue;
    has_key = true;
    if (key.family != family_of(header.algorithm)) continue;
    if (!key.algorithm.empty() && key.algorithm != header.algorithm) continue;
    const Jws jws = import(token);
    cjose_err error;
    uint8_t* claims = nullptr;
    size_t size = 0;
    if (jws != nullptr && cjose_jws_verify(jws.get(), key.key.get(), &error) &&
        cjose_jws_get_plaintext(jws.get(), &claims, &size, &error)) {
      return std::string(reinterpret_cast<const char*>(claims), size);
    }
  }
  if (!has_key) return absl::NotFoundError("the token is signed with a key that is not in the JWKS");
  return refused("the token's signature is wrong");
}

}  // namespace postern::helper
