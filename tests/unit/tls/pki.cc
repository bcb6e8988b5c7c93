// SPDX-License-Identifier: GPL-3.0-or-later
#include "pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace postern::tls::test {
namespace {

// RSA keys are slow to make, so one serves all.
EVP_PKEY* make_key(KeyKind kind) {
  switch (kind) {
    case KeyKind::EcdsaP256: return EVP_EC_gen("P-256");
    case KeyKind::EcdsaP384: return EVP_EC_gen("P-384");
    case KeyKind::Ed25519: return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    case KeyKind::Rsa2048: {
      static EVP_PKEY* const rsa = EVP_RSA_gen(2048);
      EVP_PKEY_up_ref(rsa);
      return rsa;
    }
  }
  return nullptr;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) std::abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* make_certificate(const std::string& common_name, EVP_PKEY* key, int from_s, int to_s) {
  static long serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  return certificate;
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string pem_of(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  return text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio);
}

}  // namespace

Authority::Authority(const std::string& common_name, KeyKind key)
    : key_(make_key(key)), certificate_(make_certificate(common_name, key_.get(), -7200, 48 * 3600)) {
  X509* own = certificate_.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(own, own, NID_key_usage, "critical,keyCertSign,digitalSignature");
  add_extension(own, own, NID_subject_key_identifier, "hash");
  X509_sign(own, key_.get(), EVP_sha256());
}

Leaf Authority::issue(const Wanted& wanted) const {
  const std::unique_ptr<EVP_PKEY, Free> key(make_key(wanted.key));
  std::string common_name = wanted.common_name;
  if (common_name.empty()) common_name = wanted.dns.empty() ? "unnamed" : wanted.dns.front();
  const std::unique_ptr<X509, Free> leaf(
      make_certificate(common_name, key.get(), wanted.valid_from_s, wanted.valid_to_s));
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get()));
  add_extension(leaf.get(), certificate_.get(), NID_basic_constraints, "CA:FALSE");
  add_extension(leaf.get(), certificate_.get(), NID_ext_key_usage, wanted.purpose);
  std::string names;
  for (const std::string& name : wanted.dns) {
    if (!names.empty()) names += ",";
    names += name.starts_with("IP:") ? name : "DNS:" + name;
  }
  if (!names.empty()) add_extension(leaf.get(), certificate_.get(), NID_subject_alt_name, names);
  X509_sign(leaf.get(), key_.get(), EVP_sha256());
  return {pem_of(leaf.get()), pem_of(key.get())};
}

std::string Authority::pem() const {
  return pem_of(certificate_.get());
}

Leaf Authority::as_leaf() const {
  return {pem(), pem_of(key_.get())};
}

const Authority& authority() {
  static const Authority one("Test authority");
  return one;
}

}  // namespace postern::tls::test
