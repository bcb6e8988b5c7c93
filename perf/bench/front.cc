// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/bench/front.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>

#include "base/check.h"

namespace postern::bench {
namespace {

std::string taken_from(BIO* bio) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_reset(bio);
  return text;
}

Identity make_identity() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  CHECK(key != nullptr && certificate != nullptr);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_version(certificate, X509_VERSION_3);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* host = reinterpret_cast<const unsigned char*>("mail.example.test");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
  BIO* bio = BIO_new(BIO_s_mem());
  Identity identity;
  PEM_write_bio_X509(bio, certificate);
  identity.chain = taken_from(bio);
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  identity.key = taken_from(bio);
  BIO_free(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

}  // namespace

const Identity& ecdsa_identity() {
  static const Identity identity = make_identity();
  return identity;
}

OpenSslEnd::OpenSslEnd(SSL_CTX* context, bool as_front) : tls_(SSL_new(context)) {
  CHECK(tls_ != nullptr);
  SSL_set_bio(tls_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  if (as_front) {
    SSL_set_connect_state(tls_.get());
  } else {
    SSL_set_accept_state(tls_.get());
  }
}

bool OpenSslEnd::shake_hands(std::string_view came) {
  BIO_write(SSL_get_rbio(tls_.get()), came.data(), static_cast<int>(came.size()));
  const int outcome = SSL_do_handshake(tls_.get());
  return outcome == 1 || SSL_get_error(tls_.get(), outcome) == SSL_ERROR_WANT_READ;
}

void OpenSslEnd::write(std::string_view plain) {
  size_t written = 0;
  while (!plain.empty() && SSL_write_ex(tls_.get(), plain.data(), plain.size(), &written) == 1)
    plain.remove_prefix(written);
  CHECK(plain.empty());
}

size_t OpenSslEnd::read(std::string_view came) {
  BIO_write(SSL_get_rbio(tls_.get()), came.data(), static_cast<int>(came.size()));
  std::array<char, 16384> plain;
  size_t sum = 0;
  size_t size = 0;
  while (SSL_read_ex(tls_.get(), plain.data(), plain.size(), &size) == 1)
    sum += size;
  return sum;
}

std::string OpenSslEnd::take_output() {
  return taken_from(SSL_get_wbio(tls_.get()));
}

GateFront::Shared::Shared() {
  static const bool started = (tls::start_library(), true);
  CHECK(started);
  std::vector<tls::CertificatePem> certificates(1);
  certificates[0].chain = ecdsa_identity().chain;
  certificates[0].key = Secret(ecdsa_identity().key);
  auto loaded = tls::FrontContext::load(certificates, tls::Version::Tls12, tickets);
  CHECK(loaded.ok());
  context = *std::move(loaded);
}

bool GateFront::shake_hands(std::string_view came) {
  std::span<const char> bytes(came.data(), came.size());
  if (!channel_) {
    // A hello is one record here; only the beginning of the conversation looks like this.
    if (hello_->feed(bytes) != tls::ClientHelloReader::Status::Done) return false;
    channel_ = tls::Channel::open_front(shared_->context->choose(hello_->hello()), {});
    if (!channel_) return false;
  }
  while (const auto record = channel_.next_record(bytes)) {
    switch (channel_.shake_hands(*record, output_, shared_->pool)) {
      case tls::Channel::Step::NeedBytes: break;
      case tls::Channel::Step::Done:
        done_ = true;
        hello_.reset();
        break;
      case tls::Channel::Step::Failed: return false;
    }
  }
  return true;
}

void GateFront::write(std::string_view plain) {
  CHECK(channel_.write(plain, output_, shared_->pool));
}

size_t GateFront::read(std::string_view came) {
  std::span<const char> bytes(came.data(), came.size());
  size_t sum = 0;
  while (const auto record = channel_.next_record(bytes)) {
    const tls::Channel::Read read = channel_.read(*record, shared_->plain, output_, shared_->pool);
    CHECK(read.kind == tls::Channel::Read::Kind::Bytes);
    sum += read.size;
  }
  return sum;
}

std::string GateFront::take_output() {
  if (output_.waiting_size() == 0) return {};
  const std::span<const char> bytes = output_.launch();
  std::string text(bytes.data(), bytes.size());
  output_.landed(shared_->pool, false);
  return text;
}

void GateFront::drop_output() {
  output_.drop(shared_->pool, false);
}

OpenSslFront::Shared::Shared() {
  auto made = wire::back_context_of(ecdsa_identity().chain, ecdsa_identity().key);
  CHECK(made.ok());
  context = *std::move(made);
}

}  // namespace postern::bench
