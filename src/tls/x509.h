// SPDX-License-Identifier: GPL-3.0-or-later
// What is read in certificates besides their verification, which is the TLS library's: whom one is for, its key, its end.
// Everything takes the DER form (RFC 5280) and gives values of its own; what is malformed yields nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::tls {

// A certificate that somebody showed and that has been verified.
struct PeerCertificate {
  std::string subject;      // as RFC 4514 writes it, in UTF-8: "CN=Joe Doe,O=Example"
  std::string common_name;  // the most specific one; empty: none, or one with control characters
  std::string email;        // the first address among the alternative names; empty: as above
  std::string fingerprint;  // SHA-256 of the certificate in 64 lower-case hex digits
};

std::optional<PeerCertificate> read_peer(std::string_view der);

// The SubjectPublicKeyInfo as it stands in the certificate, header included: what pins are digests of (RFC 7469,
// section 2.4). A view of `der`; empty: malformed.
std::string_view key_info(std::string_view der);

// The channel binding "tls-server-end-point" (RFC 5929, section 4.1) of whoever shows this certificate. Empty: its
// signature has no hash function that this binding is defined for.
std::string end_point_binding(std::string_view der);

// The moment, in seconds since 1970, until which a certificate is good, or a revocation list (its nextUpdate, which may
// be missing).
std::optional<int64_t> certificate_expiry(std::string_view der);
std::optional<int64_t> revocation_list_expiry(std::string_view der);

}  // namespace postern::tls
