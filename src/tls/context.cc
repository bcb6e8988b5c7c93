// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/context.h"

#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tls/inside.h"
#include "tls/library.h"
#include "tls/pem.h"
#include "tls/x509.h"

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

ContextPointer new_context(WOLFSSL_METHOD* method, Version min_version) {
  ContextPointer context(wolfSSL_CTX_new(method));
  CHECK(context != nullptr);
  const int lowest = min_version == Version::Tls13 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
  CHECK(wolfSSL_CTX_SetMinVersion(context.get(), lowest) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_cipher_list(context.get(), cipher_list) == WOLFSSL_SUCCESS);
  return context;
}

void add_fault(std::string& faults, const absl::Status& status) {
  if (status.ok()) return;
  if (!faults.empty()) faults += "\n";
  faults += std::string(status.message());
}

absl::Status load_authorities(const ClientTrust& clients, WOLFSSL_CTX* context) {
  int usable = 0;
  const std::vector<std::string> blocks = pem_blocks(PemKind::Certificate, clients.ca);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const int result = is_authority(blocks[i])
                           ? wolfSSL_CTX_load_verify_buffer(context, octets(blocks[i]),
                                                            static_cast<long>(blocks[i].size()), WOLFSSL_FILETYPE_ASN1)
                           : NOT_CA_ERROR;
    if (result == WOLFSSL_SUCCESS) ++usable;
    if (result == WOLFSSL_SUCCESS || result == ASN_AFTER_DATE_E || result == ASN_BEFORE_DATE_E) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: certificate %d cannot be used as a CA (library error %d). It must be the certificate of an authority, not "
        "one that an authority issued to a user",
        clients.ca_name, i + 1, result));
  }
  if (usable != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: holds no CA certificate in PEM form that is valid now; without one no mail program's "
                      "certificate can be verified",
                      clients.ca_name));
}

absl::Status load_revocation_lists(const ClientTrust& clients, WOLFSSL_CTX* context) {
  if (clients.crl_name.empty() && clients.crl.empty()) return absl::OkStatus();
  const std::vector<std::string> blocks = pem_blocks(PemKind::RevocationList, clients.crl);
  if (blocks.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: holds no revocation list in PEM form. `openssl crl -inform DER` makes one of the other form",
        clients.crl_name));
  }
  CHECK(wolfSSL_CTX_EnableCRL(context, WOLFSSL_CRL_CHECKALL) == WOLFSSL_SUCCESS);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const int result = load_revocation_list(context, blocks[i]);
    if (result == WOLFSSL_SUCCESS) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: revocation list %d cannot be used (library error %d). Was it issued by a CA of %s, and is it whole?",
        clients.crl_name, i + 1, result, clients.ca_name));
  }
  return absl::OkStatus();
}

// Each certificate has a context of the library, but authorities and revocation lists, which can be large, are one.
absl::Status trust(const ClientTrust& clients, const std::vector<std::shared_ptr<Certificate>>& certificates) {
  WOLFSSL_CTX* first = nullptr;
  for (const std::shared_ptr<Certificate>& certificate : certificates) {
    WOLFSSL_CTX* context = certificate->context.get();
    certificate->asks_for_certificates = true;
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, nullptr);
    // Neither gives tickets nor takes those of a context before, which asked for nothing.
    CHECK(wolfSSL_CTX_set_TicketEncCb(context, nullptr) == WOLFSSL_SUCCESS);
    if (first != nullptr && share_authorities(first, context)) continue;
    if (absl::Status status = load_authorities(clients, context); !status.ok()) return status;
    if (absl::Status status = load_revocation_lists(clients, context); !status.ok()) return status;
    first = context;
  }
  return absl::OkStatus();
}

}  // namespace

void start_library() {
  CHECK(wolfSSL_SetAllocators(library_malloc, library_free, library_realloc) == 0);
  CHECK(wolfSSL_Init() == WOLFSSL_SUCCESS);
}

absl::StatusOr<std::unique_ptr<Certificate>> load_certificate(const CertificatePem& pem, Version min_version,
                                                              TicketKeys& tickets) {
  auto certificate = std::make_unique<Certificate>();
  certificate->context = new_context(wolfSSLv23_server_method(), min_version);
  WOLFSSL_CTX* context = certificate->context.get();
  absl::Status status = use_pair(pem, context, *certificate);
  if (!status.ok()) return status;
  wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
  CHECK(wolfSSL_CTX_set_TicketEncCb(context, seal_or_open_ticket) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_TicketEncCtx(context, &tickets) == WOLFSSL_SUCCESS);
  CHECK(wolfSSL_CTX_set_TicketHint(context, ticket_lifetime_s) == WOLFSSL_SUCCESS);
  return certificate;
}

absl::StatusOr<std::unique_ptr<FrontContext>> FrontContext::load(const std::vector<CertificatePem>& pems,
                                                                 Version min_version, TicketKeys& tickets,
                                                                 const ClientTrust* clients) {
  std::vector<std::shared_ptr<Certificate>> certificates;
  std::string faults;
  for (const CertificatePem& pem : pems) {
    absl::StatusOr<std::unique_ptr<Certificate>> certificate = load_certificate(pem, min_version, tickets);
    add_fault(faults, certificate.status());
    if (certificate.ok()) certificates.push_back(*std::move(certificate));
  }
  if (clients != nullptr) add_fault(faults, trust(*clients, certificates));
  if (!faults.empty()) return absl::InvalidArgumentError(faults);
  auto front = std::make_unique<FrontContext>(
      std::vector<std::shared_ptr<const Certificate>>(certificates.begin(), certificates.end()));
  if (clients == nullptr) return front;
  for (const std::string& der : pem_blocks(PemKind::Certificate, clients->ca))
    front->note_expiry(certificate_expiry(der), clients->ca_name);
  for (const std::string& der : pem_blocks(PemKind::RevocationList, clients->crl))
    front->note_expiry(revocation_list_expiry(der), clients->crl_name);
  return front;
}

void FrontContext::note_expiry(std::optional<int64_t> not_after, const std::string& file_name) {
  if (!not_after || (trust_expiry_ && trust_expiry_->not_after <= *not_after)) return;
  trust_expiry_ = Expiry{*not_after, file_name};
}

FrontContext::FrontContext(std::vector<std::shared_ptr<const Certificate>> certificates)
    : certificates_(std::move(certificates)) {
  for (const std::shared_ptr<const Certificate>& certificate : certificates_) {
    for (const std::string& name : certificate->names)
      by_name_[name].add(*certificate);
  }
  if (certificates_.empty()) return;
  // The default is the first certificate, with one of the other kind that shares a name with it.
  const Certificate& first = *certificates_.front();
  default_.add(first);
  for (const std::string& name : first.names) {
    const Pair& pair = by_name_[name];
    for (const Certificate* certificate : {pair.ecdsa, pair.rsa}) {
      if (certificate != nullptr) default_.add(*certificate);
    }
  }
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

namespace {

absl::Status check_pins(const std::vector<std::string>& pins) {
  for (const std::string& pin : pins) {
    if (pin.size() == BackTrust::pin_size) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("a pin of a mail server's key has %d bytes, but it is a SHA-256 digest of %d", pin.size(),
                        BackTrust::pin_size));
  }
  if (!pins.empty() && !can_trust_keys()) {
    return absl::InvalidArgumentError(
        "keys of mail servers are pinned, which this build cannot check: it uses the distribution's TLS library");
  }
  return absl::OkStatus();
}

}  // namespace

WOLFSSL_CTX* thawing_context(bool is_front) {
  static const ContextPointer front = new_context(wolfSSLv23_server_method(), Version::Tls12);
  static const ContextPointer back = new_context(wolfSSLv23_client_method(), Version::Tls12);
  return (is_front ? front : back).get();
}

absl::StatusOr<std::unique_ptr<BackContext>> BackContext::load(const BackTrust& trust, Version min_version) {
  static std::atomic<uint64_t> last_id = 0;
  auto back = std::make_unique<BackContext>();
  back->id_ = ++last_id;
  back->pins_ = trust.pins;
  back->context_ = new_context(wolfSSLv23_client_method(), min_version);
  WOLFSSL_CTX* context = back->context_.get();
  // The ticket extension of TLS 1.2; in TLS 1.3 tickets come unasked.
  CHECK(wolfSSL_CTX_UseSessionTicket(context) == WOLFSSL_SUCCESS);
  if (absl::Status status = check_pins(trust.pins); !status.ok()) return status;
  if (!trust.own.chain.empty()) {
    Certificate ignored;
    if (absl::Status status = use_pair(trust.own, context, ignored); !status.ok()) return status;
  }
  if (!trust.pins.empty()) return back;
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, nullptr);
  // A collection of all the world's authorities may hold some that the library does not know how to use.
  if (wolfSSL_CTX_load_verify_buffer_ex(context, octets(trust.ca), static_cast<long>(trust.ca.size()),
                                        WOLFSSL_FILETYPE_PEM, 0, WOLFSSL_LOAD_FLAG_IGNORE_ERR) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: holds no CA certificate in PEM form; without one no mail server can be verified", trust.ca_name));
  }
  return back;
}

}  // namespace postern::tls
