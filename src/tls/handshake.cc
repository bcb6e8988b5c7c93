// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/handshake.h"

#include <algorithm>

#include "tls/digest.h"
#include "tls/inside.h"
#include "tls/library.h"
#include "tls/x509.h"

namespace postern::tls {
namespace {

constexpr size_t exporter_binding_size = 32;

std::string_view leaf_of(const WOLFSSL_X509_STORE_CTX& store) {
  if (store.certs == nullptr || store.totalCerts < 1) return {};
  return {reinterpret_cast<const char*>(store.certs[0].buffer), store.certs[0].length};
}

// Called for each certificate of a mail program that fails, and in the end for its own, if it has one. Zero refuses it.
int on_client_certificate(int verified, WOLFSSL_X509_STORE_CTX* store) {
  auto* notes = static_cast<HandshakeNotes*>(store->userCtx);
  if (notes == nullptr) return 0;
  if (verified == 0) {
    if (notes->certificate_error == 0) notes->certificate_error = store->error;
    // For these the library would say bad_certificate, after which nobody looks for the right reason.
    if (store->error == CRL_CERT_REVOKED) send_fatal_alert(notes->ssl, certificate_revoked);
    if (store->error == CRL_MISSING) send_fatal_alert(notes->ssl, certificate_unknown);
    return 0;
  }
  if (store->error_depth != 0 || store->totalCerts == 0) return 1;
  notes->findings.peer = read_peer(leaf_of(*store));
  return notes->findings.peer ? 1 : 0;
}

// Whether the key that the library is going to use is in the very bytes that the pin is a digest of: nobody has vouched
// for this certificate, and two readers may find two keys in one that was made for it.
bool is_key_of_library(std::string_view der, std::string_view info) {
  DecodedCert cert;
  wc_InitDecodedCert(&cert, reinterpret_cast<const byte*>(der.data()), static_cast<word32>(der.size()), nullptr);
  const bool same = wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, nullptr) == 0 && cert.publicKey != nullptr &&
                    cert.pubKeySize != 0 &&
                    info.find({reinterpret_cast<const char*>(cert.publicKey), cert.pubKeySize}) != info.npos;
  wc_FreeDecodedCert(&cert);
  return same;
}

// Called for a mail server's own certificate, verified or not.
int on_pinned_certificate(int, WOLFSSL_X509_STORE_CTX* store) {
  auto* notes = static_cast<HandshakeNotes*>(store->userCtx);
  if (notes == nullptr || store->error_depth != 0) return 0;
  const std::string_view der = leaf_of(*store);
  const std::string_view info = key_info(der);
  if (info.empty() || !is_key_of_library(der, info)) return 0;
  const std::string pin = digest(Hash::Sha256, info);
  notes->key_is_pinned = std::find(notes->pins->begin(), notes->pins->end(), pin) != notes->pins->end();
  return notes->key_is_pinned ? 1 : 0;
}

// RFC 9266: in TLS 1.2 only where the keys depend on the whole handshake, or another's connection could have the same.
std::string exporter_binding(WOLFSSL* ssl) {
#ifdef HAVE_KEYING_MATERIAL
  static constexpr std::string_view label = "EXPORTER-Channel-Binding";
  if (wolfSSL_version(ssl) != TLS1_3_VERSION && !has_extended_master_secret(ssl)) return "";
  std::string binding(exporter_binding_size, '\0');
  const byte no_context = 0;
  if (wolfSSL_export_keying_material(ssl, reinterpret_cast<byte*>(binding.data()), binding.size(), label.data(),
                                     label.size(), &no_context, 0, 1) == WOLFSSL_SUCCESS) {
    return binding;
  }
#endif
  return "";
}

}  // namespace

void prepare(HandshakeNotes& notes) {
  wolfSSL_SetCertCbCtx(notes.ssl, &notes);
  if (notes.asks_for_certificate) wolfSSL_set_verify(notes.ssl, WOLFSSL_VERIFY_PEER, on_client_certificate);
  if (notes.wants_exporter) wolfSSL_KeepArrays(notes.ssl);
  if (notes.pins == nullptr) return;
  wolfSSL_set_verify(notes.ssl, WOLFSSL_VERIFY_PEER, on_pinned_certificate);
  trust_keys(notes.ssl);
}

bool conclude(HandshakeNotes& notes) {
  if (notes.wants_exporter) {
    notes.findings.exporter_binding = exporter_binding(notes.ssl);
    wolfSSL_FreeArrays(notes.ssl);
  }
  if (notes.findings.peer && !peer_proved_key(notes.ssl)) return false;
  if (notes.pins != nullptr && !notes.key_is_pinned && wolfSSL_session_reused(notes.ssl) == 0) return false;
  notes.complete = true;
  return true;
}

void forget(const HandshakeNotes& notes) {
  wolfSSL_SetCertCbCtx(notes.ssl, nullptr);
}

}  // namespace postern::tls
