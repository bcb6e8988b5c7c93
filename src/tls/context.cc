// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/context.h"

#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tls/library.h"

namespace postern::tls {
namespace {

// AES-GCM first: with the processor's own instructions it is two to three times as fast as ChaCha20, which stays for
// mail programs on small devices. No CBC and no static key exchange: every suite is authenticated and forward secret.
constexpr char cipher_list[] =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

constexpr int ticket_lifetime_s = 24 * 3600;  // what TicketKeys promises with its default rotation

void* library_malloc(size_t size) {
  return malloc(size);
}

// The library frees much key material with plain free(), a cipher's key schedule among it. Records do not pass here
// (see inside.h), so all that it ever frees is wiped.
void library_free(void* block) {
  if (block == nullptr) return;
  wipe(block, malloc_usable_size(block));
  free(block);
}

void* library_realloc(void* block, size_t size) {
  void* larger = malloc(size);
  if (larger == nullptr) return nullptr;
  if (block != nullptr) memcpy(larger, block, std::min(size, malloc_usable_size(block)));
  library_free(block);
  return larger;
}

int seal_or_open_ticket(WOLFSSL*, unsigned char* name, unsigned char* iv, unsigned char* mac, int sealing,
                        unsigned char* ticket, int size, int* out_size, void* user) {
  auto& keys = *static_cast<TicketKeys*>(user);
  const std::span<uint8_t, TicketKeys::name_size> name_bytes(name, TicketKeys::name_size);
  const std::span<uint8_t, TicketKeys::iv_size> iv_bytes(iv, TicketKeys::iv_size);
  const std::span<uint8_t, TicketKeys::mac_size> mac_bytes(mac, TicketKeys::mac_size);
  const std::span<uint8_t> bytes(ticket, static_cast<size_t>(size));
  *out_size = size;
  if (sealing != 0) {
    return keys.seal(bytes, name_bytes, iv_bytes, mac_bytes) ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_REJECT;
  }
  switch (keys.open(bytes, name_bytes, iv_bytes, mac_bytes)) {
    case TicketKeys::Opened::Newest: return WOLFSSL_TICKET_RET_OK;
    case TicketKeys::Opened::Older: return WOLFSSL_TICKET_RET_CREATE;
    case TicketKeys::Opened::Unknown: break;
  }
  return WOLFSSL_TICKET_RET_REJECT;
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void set_versions_and_ciphers(WOLFSSL_CTX* context, Version min_version) {
  const int lowest = min_version == Version::Tls13 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
  CHECK(wolfSSL_CTX_SetMinVersion(context, lowest) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_cipher_list(context, cipher_list) == WOLFSSL_SUCCESS);
  wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
}

constexpr std::string_view pem_begin = "-----BEGIN CERTIFICATE-----";

// The DER form of the first certificate in `pem`; empty: there is none.
std::string der_of(std::string_view pem) {
  std::string der(pem.size(), '\0');
  const int size =
      wc_CertPemToDer(octets(pem), static_cast<int>(pem.size()), reinterpret_cast<unsigned char*>(der.data()),
                      static_cast<int>(der.size()), CERT_TYPE);
  der.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return der;
}

// One certificate, decoded while this lives.
class Decoded {
 public:
  explicit Decoded(std::string_view pem) : der_(der_of(pem)) {
    wc_InitDecodedCert(&cert_, octets(der_), static_cast<word32>(der_.size()), nullptr);
    error_ = der_.empty() ? ASN_NO_PEM_HEADER : wc_ParseCert(&cert_, CERT_TYPE, NO_VERIFY, nullptr);
  }
  ~Decoded() { wc_FreeDecodedCert(&cert_); }
  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;

  int error() const { return error_; }
  const DecodedCert& cert() const { return cert_; }

 private:
  std::string der_;
  DecodedCert cert_;
  int error_;
};

std::vector<std::string> dns_names(const DecodedCert& cert) {
  std::vector<std::string> names;
  for (const DNS_entry* name = cert.altNames; name != nullptr; name = name->next) {
    if (name->type != ASN_DNS_TYPE) continue;
    std::string lower(name->name, static_cast<size_t>(name->len));
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    names.push_back(std::move(lower));
  }
  return names;
}

// The certificate's kind of key and its names, for SNI.
absl::Status read_leaf(const CertificatePem& pem, Certificate& certificate) {
  const Decoded leaf(pem.chain);
  if (leaf.error() == ASN_NO_PEM_HEADER) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: holds no PEM certificate. It must begin with the server's certificate, followed by its intermediates",
        pem.chain_name));
  }
  const bool ecdsa = leaf.cert().keyOID == ECDSAk;
  if (leaf.error() != 0 || (!ecdsa && leaf.cert().keyOID != RSAk)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: its first certificate cannot be used (library error %d). Postern takes ECDSA (P-256, "
                        "P-384) and RSA (up to 4096 bits) certificates",
                        pem.chain_name, leaf.error()));
  }
  certificate.kind = ecdsa ? Certificate::Kind::Ecdsa : Certificate::Kind::Rsa;
  certificate.names = dns_names(leaf.cert());
  return absl::OkStatus();
}

// The library sends intermediates as they are; mail programs would be the first to read them.
absl::Status check_intermediates(const CertificatePem& pem) {
  const std::string_view chain = pem.chain;
  int count = 1;
  for (size_t at = chain.find(pem_begin); at != chain.npos;
       at = chain.find(pem_begin, at + pem_begin.size()), ++count) {
    if (const Decoded decoded(chain.substr(at)); decoded.error() != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: certificate %d of the chain cannot be read (library error %d). Check that every "
                          "certificate in it is whole PEM",
                          pem.chain_name, count, decoded.error()));
    }
  }
  return absl::OkStatus();
}

absl::Status use_pair(const CertificatePem& pem, WOLFSSL_CTX* context) {
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

absl::StatusOr<std::unique_ptr<Certificate>> load_certificate(const CertificatePem& pem, Version min_version,
                                                              TicketKeys& tickets) {
  auto certificate = std::make_unique<Certificate>();
  absl::Status status = read_leaf(pem, *certificate);
  if (status.ok()) status = check_intermediates(pem);
  if (!status.ok()) return status;
  certificate->context.reset(wolfSSL_CTX_new(wolfSSLv23_server_method()));
  WOLFSSL_CTX* context = certificate->context.get();
  CHECK(context != nullptr);
  set_versions_and_ciphers(context, min_version);
  status = use_pair(pem, context);
  if (!status.ok()) return status;
  CHECK(wolfSSL_CTX_set_TicketEncCb(context, seal_or_open_ticket) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_TicketEncCtx(context, &tickets) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_TicketHint(context, ticket_lifetime_s) == WOLFSSL_SUCCESS);
  return certificate;
}

}  // namespace

void start_library() {
  CHECK(wolfSSL_SetAllocators(library_malloc, library_free, library_realloc) == 0);
  CHECK(wolfSSL_Init() == WOLFSSL_SUCCESS);
}

void ContextFree::operator()(WOLFSSL_CTX* context) const {
  wolfSSL_CTX_free(context);
}

absl::StatusOr<std::unique_ptr<FrontContext>> FrontContext::load(const std::vector<CertificatePem>& certificates,
                                                                 Version min_version, TicketKeys& tickets) {
  auto front = std::make_unique<FrontContext>();
  std::string faults;
  for (const CertificatePem& pem : certificates) {
    absl::StatusOr<std::unique_ptr<Certificate>> certificate = load_certificate(pem, min_version, tickets);
    if (!certificate.ok()) {
      if (!faults.empty()) faults += "\n";
      faults += std::string(certificate.status().message());
      continue;
    }
    front->certificates_.push_back(*std::move(certificate));
  }
  if (!faults.empty()) return absl::InvalidArgumentError(faults);
  for (const std::unique_ptr<Certificate>& certificate : front->certificates_) {
    for (const std::string& name : certificate->names)
      front->by_name_[name].add(*certificate);
  }
  if (front->certificates_.empty()) return front;
  // The default is the first certificate, with one of the other kind that shares a name with it.
  const Certificate& first = *front->certificates_.front();
  front->default_.add(first);
  for (const std::string& name : first.names) {
    const Pair& pair = front->by_name_[name];
    for (const Certificate* certificate : {pair.ecdsa, pair.rsa}) {
      if (certificate != nullptr) front->default_.add(*certificate);
    }
  }
  return front;
}

void FrontContext::Pair::add(const Certificate& certificate) {
  const Certificate*& place = certificate.kind == Certificate::Kind::Ecdsa ? ecdsa : rsa;
  if (place == nullptr) place = &certificate;
}

const Certificate& FrontContext::Pair::choose(bool verifies_ecdsa) const {
  if (rsa == nullptr || (ecdsa != nullptr && verifies_ecdsa)) return *ecdsa;
  return *rsa;
}

const Certificate& FrontContext::choose(const ClientHello& hello) const {
  CHECK(!certificates_.empty());
  auto found = by_name_.find(hello.server_name);
  if (found == by_name_.end()) {
    // A wildcard stands for exactly one label (RFC 9525, section 6.3).
    const size_t dot = hello.server_name.find('.');
    if (dot != std::string::npos && dot != 0) found = by_name_.find("*" + hello.server_name.substr(dot));
  }
  return (found == by_name_.end() ? default_ : found->second).choose(hello.verifies_ecdsa);
}

absl::StatusOr<std::unique_ptr<BackContext>> BackContext::load(std::string_view ca, std::string_view ca_name,
                                                               Version min_version) {
  auto back = std::make_unique<BackContext>();
  back->context_.reset(wolfSSL_CTX_new(wolfSSLv23_client_method()));
  WOLFSSL_CTX* context = back->context_.get();
  CHECK(context != nullptr);
  set_versions_and_ciphers(context, min_version);
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, nullptr);
  if (wolfSSL_CTX_load_verify_buffer_ex(context, octets(ca), static_cast<long>(ca.size()), WOLFSSL_FILETYPE_PEM, 0,
                                        WOLFSSL_LOAD_FLAG_IGNORE_ERR) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: holds no CA certificate in PEM form; without one no mail server can be verified", std::string(ca_name)));
  }
  return back;
}

}  // namespace postern::tls
