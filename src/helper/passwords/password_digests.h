// SPDX-License-Identifier: GPL-3.0-or-later
// Schemes that are made of digests, which are OpenSSL's: {SHA256} and its kin, {PBKDF2} and $apr1$.
#pragma once

#include <string>
#include <string_view>

#include "helper/passwords/password_schemes.h"

// OpenSSL's, whose header stays in the .cc files.
struct evp_md_st;

namespace postern::helper {

const evp_md_st* evp_digest(Digest digest);

enum class Match : uint8_t {
  Yes,
  No,
  CannotSay,  // the hash is weak, unknown or broken
};

struct Verification {
  Match match = Match::No;
  std::string fault;  // with CannotSay: what is wrong with the hash, for the log; shows nothing of it but its scheme
};

Verification cannot_say(std::string fault);
// In constant time.
Verification compare(std::string_view computed, std::string_view stored);

// With Method::Digest: `octets` are a digest and, where the scheme is salted, the salt behind it.
Verification verify_digest(const StoredScheme& scheme, std::string_view octets, std::string_view password);
// Dovecot's PBKDF2 with HMAC-SHA-1: "$1$salt$rounds$hex", the salt as it is written.
Verification verify_pbkdf2(std::string_view hash, std::string_view password);
// "$apr1$salt$hash".
Verification verify_apr1(std::string_view hash, std::string_view password);

}  // namespace postern::helper
