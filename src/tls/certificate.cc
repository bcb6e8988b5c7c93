// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/certificate.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "tls/library.h"
#include "tls/pem.h"
#include "tls/x509.h"

namespace postern::tls {
namespace {

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// One certificate, decoded while this lives.
class Decoded {
 public:
  // `der` must live as long.
  explicit Decoded(std::string_view der) {
    wc_InitDecodedCert(&cert_, octets(der), static_cast<word32>(der.size()), nullptr);
    error_ = der.empty() ? ASN_NO_PEM_HEADER : wc_ParseCert(&cert_, CERT_TYPE, NO_VERIFY, nullptr);
  }
  ~Decoded() { wc_FreeDecodedCert(&cert_); }
  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;

  int error() const { return error_; }
  const DecodedCert& cert() const { return cert_; }

 private:
  DecodedCert cert_;
  int error_;
};

std::vector<std::string> dns_names(const DecodedCert& cert) {
  std::vector<std::string> names;
  for (const DNS_entry* name = cert.altNames; name != nullptr; name = name->next) {
    if (name->type != ASN_DNS_TYPE) continue;
    names.push_back(absl::AsciiStrToLower(absl::string_view(name->name, static_cast<size_t>(name->len))));
  }
  return names;
}

// The certificate itself: its kind of key, its names for SNI, its end.
absl::Status read_leaf(const CertificatePem& pem, const std::string& der, Certificate& certificate) {
  const Decoded leaf(der);
  const bool ecdsa = leaf.cert().keyOID == ECDSAk;
  if (leaf.error() != 0 || (!ecdsa && leaf.cert().keyOID != RSAk)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: its first certificate cannot be used (library error %d). Postern takes ECDSA (P-256, "
                        "P-384) and RSA (up to 4096 bits) certificates",
                        pem.chain_name, leaf.error()));
  }
  certificate.kind = ecdsa ? Certificate::Kind::Ecdsa : Certificate::Kind::Rsa;
  certificate.names = dns_names(leaf.cert());
  certificate.chain_name = pem.chain_name;
  certificate.not_after = certificate_expiry(der).value_or(0);
  certificate.end_point = end_point_binding(der);
  return absl::OkStatus();
}

absl::Status read_chain(const CertificatePem& pem, Certificate& certificate) {
  const std::vector<std::string> chain = pem_blocks(PemKind::Certificate, pem.chain);
  if (chain.empty() || chain.front().empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: holds no PEM certificate. It must begin with the certificate itself, followed by its "
                        "intermediates",
                        pem.chain_name));
  }
  absl::Status status = read_leaf(pem, chain.front(), certificate);
  // The library sends intermediates as they are; the other side would be the first to read them.
  for (size_t i = 1; i < chain.size() && status.ok(); ++i) {
    const Decoded decoded(chain[i]);
    if (decoded.error() == 0) continue;
    status = absl::InvalidArgumentError(
        absl::StrFormat("%s: certificate %d of the chain cannot be read (library error %d). Check that every "
                        "certificate in it is whole PEM",
                        pem.chain_name, i + 1, decoded.error()));
  }
  return status;
}

}  // namespace

void ContextFree::operator()(WOLFSSL_CTX* context) const {
  wolfSSL_CTX_free(context);
}

absl::Status use_pair(const CertificatePem& pem, WOLFSSL_CTX* context, Certificate& certificate) {
  absl::Status status = read_chain(pem, certificate);
  if (!status.ok()) return status;
  if (wolfSSL_CTX_use_certificate_chain_buffer(context, octets(pem.chain), static_cast<long>(pem.chain.size())) !=
      WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: the certificate chain cannot be read. Check that every certificate in it is whole PEM", pem.chain_name));
  }
  const std::string_view key = pem.key.reveal();
  if (wolfSSL_CTX_use_PrivateKey_buffer(context, octets(key), static_cast<long>(key.size()), WOLFSSL_FILETYPE_PEM) !=
      WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: holds no private key that Postern can read. It must be an unencrypted PEM key; `openssl pkey -in FILE` "
        "takes a passphrase off",
        pem.key_name));
  }
  if (wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: this key does not belong to the first certificate of %s. Were the two renewed apart, or the chain's order "
        "turned round?",
        pem.key_name, pem.chain_name));
  }
  return absl::OkStatus();
}

bool is_authority(std::string_view der) {
  const Decoded decoded(der);
  return decoded.error() == 0 && decoded.cert().isCA != 0;
}

}  // namespace postern::tls
