// SPDX-License-Identifier: GPL-3.0-or-later
#include "pki.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
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

// `set` as OpenSSL has it: -1 joins the attribute with the one before.
void add_name(X509* certificate, const std::string& type, const std::string& value, int set) {
  if (X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), type.c_str(), MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()),
                                 -1, set) != 1) {
    std::abort();
  }
}

X509* make_certificate(const std::string& common_name, EVP_PKEY* key, int from_s, int to_s,
                       const std::vector<std::string>& subject = {}) {
  static long serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
  X509_set_pubkey(certificate, key);
  for (const std::string& attribute : subject) {
    const bool joins = attribute.starts_with('+');
    const std::string entry = joins ? attribute.substr(1) : attribute;
    add_name(certificate, entry.substr(0, entry.find('=')), entry.substr(entry.find('=') + 1), joins ? -1 : 0);
  }
  add_name(certificate, "CN", common_name, 0);
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
  add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
  add_extension(own, own, NID_subject_key_identifier, "hash");
  X509_sign(own, key_.get(), EVP_sha256());
}

Authority::Authority(const std::string& common_name, const Authority& issuer, int valid_to_s)
    : key_(make_key(KeyKind::EcdsaP256)), certificate_(make_certificate(common_name, key_.get(), -7200, valid_to_s)) {
  X509* own = certificate_.get();
  X509_set_issuer_name(own, X509_get_subject_name(issuer.certificate_.get()));
  add_extension(own, issuer.certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(own, issuer.certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
  add_extension(own, own, NID_subject_key_identifier, "hash");
  X509_sign(own, issuer.key_.get(), EVP_sha256());
}

Leaf Authority::issue(const Wanted& wanted) const {
  const std::unique_ptr<EVP_PKEY, Free> key(make_key(wanted.key));
  std::string common_name = wanted.common_name;
  if (common_name.empty()) common_name = wanted.dns.empty() ? "unnamed" : wanted.dns.front();
  const std::unique_ptr<X509, Free> leaf(
      make_certificate(common_name, key.get(), wanted.valid_from_s, wanted.valid_to_s, wanted.subject));
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get()));
  add_extension(leaf.get(), certificate_.get(), NID_basic_constraints, "CA:FALSE");
  add_extension(leaf.get(), certificate_.get(), NID_ext_key_usage, wanted.purpose);
  std::string names;
  for (const std::string& name : wanted.dns) {
    if (!names.empty()) names += ",";
    names += name.starts_with("IP:") || name.starts_with("email:") ? name : "DNS:" + name;
  }
  if (!names.empty()) add_extension(leaf.get(), certificate_.get(), NID_subject_alt_name, names);
  X509_sign(leaf.get(), key_.get(), EVP_get_digestbyname(wanted.digest.c_str()));
  return {pem_of(leaf.get()), pem_of(key.get())};
}

std::string Authority::revoke(const std::vector<Leaf>& leaves, int next_update_s) const {
  X509_CRL* list = X509_CRL_new();
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate_.get()));
  ASN1_TIME* time = X509_gmtime_adj(nullptr, -7200);
  X509_CRL_set1_lastUpdate(list, time);
  X509_gmtime_adj(time, next_update_s);
  X509_CRL_set1_nextUpdate(list, time);
  X509_gmtime_adj(time, -3600);
  for (const Leaf& leaf : leaves) {
    X509_REVOKED* revoked = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(certificate_of(leaf.chain).get()));
    X509_REVOKED_set_revocationDate(revoked, time);
    X509_CRL_add0_revoked(list, revoked);
  }
  ASN1_TIME_free(time);
  X509_CRL_sort(list);
  X509_CRL_sign(list, key_.get(), EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_CRL(bio, list);
  X509_CRL_free(list);
  return text_of(bio);
}

CertificatePointer certificate_of(const std::string& chain) {
  BIO* bio = BIO_new_mem_buf(chain.data(), static_cast<int>(chain.size()));
  CertificatePointer certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  if (certificate == nullptr) std::abort();
  return certificate;
}

std::string der_of(const std::string& chain) {
  const CertificatePointer certificate = certificate_of(chain);
  std::string der(static_cast<size_t>(i2d_X509(certificate.get(), nullptr)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate.get(), &out);
  return der;
}

std::string pin_of(const std::string& chain) {
  const CertificatePointer certificate = certificate_of(chain);
  unsigned char* info = nullptr;
  const int size = i2d_PUBKEY(X509_get0_pubkey(certificate.get()), &info);
  std::string pin(32, '\0');
  EVP_Digest(info, static_cast<size_t>(size), reinterpret_cast<unsigned char*>(pin.data()), nullptr, EVP_sha256(),
             nullptr);
  OPENSSL_free(info);
  return pin;
}

Leaf with_false_key(const Leaf& leaf) {
  const CertificatePointer certificate = certificate_of(leaf.chain);
  EVP_PKEY* other = make_key(KeyKind::EcdsaP256);
  BIGNUM* secret = nullptr;
  EVP_PKEY_get_bn_param(other, OSSL_PKEY_PARAM_PRIV_KEY, &secret);
  unsigned char* point = nullptr;
  const size_t size = EVP_PKEY_get1_encoded_public_key(X509_get0_pubkey(certificate.get()), &point);
  OSSL_PARAM_BLD* build = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret);
  OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, size);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* mixed = nullptr;
  EVP_PKEY_fromdata_init(context);
  if (EVP_PKEY_fromdata(context, &mixed, EVP_PKEY_KEYPAIR, parameters) != 1) std::abort();
  Leaf result{leaf.chain, pem_of(mixed)};
  EVP_PKEY_free(mixed);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  OPENSSL_free(point);
  BN_free(secret);
  EVP_PKEY_free(other);
  return result;
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
