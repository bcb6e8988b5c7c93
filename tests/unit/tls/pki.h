// SPDX-License-Identifier: GPL-3.0-or-later
// Certificates for the tests, made by OpenSSL when they are asked for: nothing of it is a file, nothing expires.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace postern::tls::test {

enum class KeyKind { EcdsaP256, EcdsaP384, Rsa2048, Ed25519 };

struct Wanted {
  std::string common_name = "";  // empty: the first of `dns`
  std::vector<std::string>
      dns;  // subjectAltName entries; "IP:127.0.0.1" and "email:joe@example.test" are not DNS names
  std::vector<std::string> subject;  // attributes before the common name: "O=Example", "+" before one joins it
  KeyKind key = KeyKind::EcdsaP256;
  int valid_from_s = -3600;  // relative to now
  int valid_to_s = 24 * 3600;
  std::string purpose = "serverAuth";  // extendedKeyUsage
  std::string digest = "SHA256";       // of the signature
};

// A leaf with its key, as PEM texts.
struct Leaf {
  std::string chain;
  std::string key;
};

class Authority {
 public:
  explicit Authority(const std::string& common_name, KeyKind key = KeyKind::EcdsaP256);
  // One that `issuer` vouches for.
  Authority(const std::string& common_name, const Authority& issuer, int valid_to_s = 48 * 3600);

  Leaf issue(const Wanted& wanted) const;
  // A revocation list, as PEM.
  std::string revoke(const std::vector<Leaf>& leaves, int next_update_s = 3600) const;
  // The authority's own certificate; as_leaf() with its key, as if it were a server's.
  std::string pem() const;
  Leaf as_leaf() const;
  X509* certificate() const { return certificate_.get(); }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
};

struct CertificateFree {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using CertificatePointer = std::unique_ptr<X509, CertificateFree>;

// What OpenSSL says of the first certificate in a chain: itself, its DER form, the SHA-256 digest of its key's
// SubjectPublicKeyInfo.
CertificatePointer certificate_of(const std::string& chain);
std::string der_of(const std::string& chain);
std::string pin_of(const std::string& chain);

// The same certificate with a key that claims to be its own and is not: whoever shows it cannot prove anything.
Leaf with_false_key(const Leaf& leaf);

// The authority that both sides trust unless a test says otherwise.
const Authority& authority();

}  // namespace postern::tls::test
