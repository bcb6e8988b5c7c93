// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/wire/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <fstream>
#include <iterator>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace postern::wire {
namespace {

absl::Status refused(const std::string& what) {
  char reason[256] = "no reason given";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, reason, sizeof reason);
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrFormat("TLS: %s: %s", what, reason));
}

void keep_small(SSL_CTX* context) {
  // RELEASE_BUFFERS: an idle connection holds no 17 KiB buffers. Read-ahead: one read for a whole flight instead of two
  // for each record, so that the load generator is not the bottleneck.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

absl::StatusOr<std::string> text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return absl::InvalidArgumentError("cannot read " + path);
  return text;
}

}  // namespace

absl::StatusOr<Context> front_context(const FrontTls& choice) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return refused("no context");
  keep_small(context.get());
  const bool old = choice.version == "1.2";
  if (!old && choice.version != "1.3") return absl::InvalidArgumentError("TLS: the version is 1.2 or 1.3");
  const int version = old ? TLS1_2_VERSION : TLS1_3_VERSION;
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  const int accepted = old ? SSL_CTX_set_cipher_list(context.get(), choice.cipher.c_str())
                           : SSL_CTX_set_ciphersuites(context.get(), choice.cipher.c_str());
  if (accepted != 1) return refused("cipher " + choice.cipher);
  if (SSL_CTX_set1_groups_list(context.get(), choice.groups.c_str()) != 1) return refused("groups " + choice.groups);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

absl::StatusOr<Context> back_context(const std::string& chain_file, const std::string& key_file) {
  const auto chain = text_of(chain_file);
  if (!chain.ok()) return chain.status();
  const auto key = text_of(key_file);
  if (!key.ok()) return key.status();
  return back_context_of(*chain, *key);
}

absl::StatusOr<Context> back_context_of(const std::string& chain, const std::string& key) {
  Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return refused("no context");
  keep_small(context.get());
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  const std::unique_ptr<BIO, FreeBio> chain_bio(BIO_new_mem_buf(chain.data(), static_cast<int>(chain.size())));
  const std::unique_ptr<X509, FreeCertificate> certificate(
      PEM_read_bio_X509(chain_bio.get(), nullptr, nullptr, nullptr));
  if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1) return refused("certificate");
  const std::unique_ptr<BIO, FreeBio> key_bio(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  const std::unique_ptr<EVP_PKEY, FreeKey> private_key(
      PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (SSL_CTX_use_PrivateKey(context.get(), private_key.get()) != 1) return refused("key");
  return context;
}

}  // namespace postern::wire
