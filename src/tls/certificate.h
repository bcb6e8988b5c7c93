// SPDX-License-Identifier: GPL-3.0-or-later
// Certificate: a chain with its key, ready to be shown.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/secret.h"

struct WOLFSSL_CTX;

namespace postern::tls {

struct ContextFree {
  void operator()(WOLFSSL_CTX* context) const;
};
using ContextPointer = std::unique_ptr<WOLFSSL_CTX, ContextFree>;

// One certificate file as read from disk, with the names it stands for in messages.
struct CertificatePem {
  std::string chain_name, key_name;
  std::string chain;  // the certificate, then its intermediates
  Secret key;
};

// One certificate with its key, ready to serve.
struct Certificate {
  enum class Kind : uint8_t { Ecdsa, Rsa };
  ContextPointer context;
  Kind kind = Kind::Ecdsa;
  // Mail programs are asked for a certificate of their own (ClientTrust).
  bool asks_for_certificates = false;
  std::vector<std::string> names;  // DNS names of the certificate, lower case, wildcards as written
  std::string chain_name;
  int64_t not_after = 0;  // the end of its validity, in seconds since 1970
  // The channel binding "tls-server-end-point" (RFC 5929, section 4.1); empty: its signature has none.
  std::string end_point;
};

// Puts chain and key into `context` and fills the fields that depend on the chain alone, if they can be read and belong
// together: Ok, or one sentence that names the file, what is wrong and what to do.
absl::Status use_pair(const CertificatePem& pem, WOLFSSL_CTX* context, Certificate& certificate);

// Whether a certificate's basic constraints make it an authority's (RFC 5280, section 4.2.1.9). The library itself takes
// whatever it is given for one.
bool is_authority(std::string_view der);

}  // namespace postern::tls
