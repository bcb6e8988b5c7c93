// SPDX-License-Identifier: GPL-3.0-or-later
// The OpenSSL contexts of both ends, set up to hold thousands of connections in little memory.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace postern::wire {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

struct FrontTls {
  std::string version = "1.3";  // "1.2" or "1.3": exactly this one
  // Exactly this cipher: one name for both versions, since a comparison needs the same one everywhere.
  std::string cipher = "TLS_AES_128_GCM_SHA256";
  std::string groups = "X25519:P-256";
};

// The mail program's side. It does not verify the certificate: load tests make their own.
absl::StatusOr<Context> front_context(const FrontTls& choice);

// The mail server's side, with one certificate: PEM files, or PEM texts.
absl::StatusOr<Context> back_context(const std::string& chain_file, const std::string& key_file);
absl::StatusOr<Context> back_context_of(const std::string& chain, const std::string& key);

}  // namespace postern::wire
