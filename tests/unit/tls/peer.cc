// SPDX-License-Identifier: GPL-3.0-or-later
#include "peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cstdlib>

namespace postern::tls::test {
namespace {

// Sessions are copied in and out: OpenSSL spoils those of a connection that dies without a close_notify.

void must(bool done) {
  if (done) return;
  ERR_print_errors_fp(stderr);
  std::abort();
}

}  // namespace

Peer::Peer(const SSL_METHOD* method, const PeerSettings& settings)
    : notes_(std::make_shared<Notes>()), context_(SSL_CTX_new(method), SSL_CTX_free) {
  SSL_CTX* context = context_.get();
  SSL_CTX_set_app_data(context, notes_.get());
  // TLS 1.0 is beneath the library's default, but not beneath a mail program of 2009.
  if (settings.min_version < TLS1_2_VERSION) SSL_CTX_set_security_level(context, 0);
  must(SSL_CTX_set_min_proto_version(context, settings.min_version) == 1);
  must(SSL_CTX_set_max_proto_version(context, settings.max_version) == 1);
  if (!settings.suites.empty()) must(SSL_CTX_set_cipher_list(context, settings.suites.c_str()) == 1);
  if (!settings.suites13.empty()) must(SSL_CTX_set_ciphersuites(context, settings.suites13.c_str()) == 1);
  if (!settings.signatures.empty()) must(SSL_CTX_set1_sigalgs_list(context, settings.signatures.c_str()) == 1);
  if (!settings.groups.empty()) must(SSL_CTX_set1_groups_list(context, settings.groups.c_str()) == 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
    static_cast<Notes*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->sessions.emplace_back(session);
    return 1;  // the session is ours now
  });
  if (!settings.tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  if (!settings.extended_master_secret) SSL_CTX_set_options(context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  SSL_CTX_set_keylog_callback(context, [](const SSL* ssl, const char* line) {
    static_cast<Notes*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->keys.emplace_back(line);
  });
  SSL_CTX_set_info_callback(context, [](const SSL* ssl, int where, int what) {
    if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT) return;
    static_cast<Notes*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->alert = SSL_alert_desc_string_long(what);
  });
}

Peer::Peer(std::shared_ptr<Notes> notes, std::shared_ptr<SSL_CTX> context)
    : notes_(std::move(notes)), context_(std::move(context)) {}

// The certificate, its key, and what follows it in the chain.
void Peer::use(const Leaf& leaf) {
  SSL_CTX* context = context_.get();
  BIO* chain = BIO_new_mem_buf(leaf.chain.data(), static_cast<int>(leaf.chain.size()));
  X509* certificate = PEM_read_bio_X509(chain, nullptr, nullptr, nullptr);
  must(SSL_CTX_use_certificate(context, certificate) == 1);
  X509_free(certificate);
  while ((certificate = PEM_read_bio_X509(chain, nullptr, nullptr, nullptr)) != nullptr)
    must(SSL_CTX_add0_chain_cert(context, certificate) == 1);
  ERR_clear_error();
  BIO_free(chain);
  BIO* key_text = BIO_new_mem_buf(leaf.key.data(), static_cast<int>(leaf.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  must(SSL_CTX_use_PrivateKey(context, key) == 1);
  EVP_PKEY_free(key);
  BIO_free(key_text);
}

void Peer::open() {
  ssl_.reset(SSL_new(context_.get()));
  must(ssl_ != nullptr);
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

Peer Peer::mail_program(const PeerSettings& settings) {
  Peer peer(TLS_client_method(), settings);
  SSL_CTX* context = peer.context_.get();
  must(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority().certificate()) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (!settings.own.chain.empty()) peer.use(settings.own);
  peer.open();
  SSL* ssl = peer.ssl_.get();
  SSL_set_connect_state(ssl);
  if (!settings.sni.empty()) must(SSL_set_tlsext_host_name(ssl, settings.sni.c_str()) == 1);
  std::string protocols;
  for (const std::string& name : settings.alpn)
    protocols += static_cast<char>(name.size()) + name;
  if (!protocols.empty()) {
    must(SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(protocols.data()),
                             static_cast<unsigned>(protocols.size())) == 0);
  }
  if (settings.resume != nullptr) {
    const Session copy(SSL_SESSION_dup(settings.resume));
    must(SSL_set_session(ssl, copy.get()) == 1);
  }
  return peer;
}

Peer Peer::mail_server(const Leaf& leaf, const PeerSettings& settings) {
  Peer peer(TLS_server_method(), settings);
  peer.use(leaf);
  if (settings.asks != nullptr) {
    SSL_CTX* context = peer.context_.get();
    must(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), settings.asks->certificate()) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    must(SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("mail"), 4) == 1);
  }
  peer.open();
  SSL_set_accept_state(peer.ssl_.get());
  return peer;
}

Peer Peer::next_connection() const {
  Peer peer(notes_, context_);
  notes_->alert.clear();
  peer.open();
  SSL_set_accept_state(peer.ssl_.get());
  return peer;
}

Peer::Progress Peer::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return Progress::Done;
  return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ ? Progress::Going : Progress::Failed;
}

void Peer::feed(std::string_view cipher) {
  if (cipher.empty()) return;
  must(BIO_write(SSL_get_rbio(ssl_.get()), cipher.data(), static_cast<int>(cipher.size())) ==
       static_cast<int>(cipher.size()));
}

std::string Peer::take() {
  BIO* bio = SSL_get_wbio(ssl_.get());
  std::string cipher(BIO_ctrl_pending(bio), '\0');
  if (!cipher.empty()) BIO_read(bio, cipher.data(), static_cast<int>(cipher.size()));
  return cipher;
}

bool Peer::write(std::string_view plain) {
  ERR_clear_error();
  return SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) == static_cast<int>(plain.size());
}

std::string Peer::read() {
  std::string all;
  char piece[16384];
  while (true) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), piece, sizeof piece);
    if (got <= 0) return all;
    all.append(piece, static_cast<size_t>(got));
  }
}

Session Peer::session() const {
  // OpenSSL announces no ticket that renews a resumed session of TLS 1.2, but it keeps it.
  const SSL_SESSION* newest = notes_->sessions.empty() ? SSL_get_session(ssl_.get()) : notes_->sessions.back().get();
  return Session(SSL_SESSION_dup(newest));
}

std::string Peer::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string Peer::subject() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return "";
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

bool Peer::shown_ecdsa() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate != nullptr && EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) == EVP_PKEY_EC;
}

std::string Peer::secret(const std::string& label) const {
  for (const std::string& line : notes_->keys) {
    if (!line.starts_with(label + " ")) continue;
    long size = 0;
    unsigned char* bytes = OPENSSL_hexstr2buf(line.substr(line.rfind(' ') + 1).c_str(), &size);
    std::string secret(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    return secret;
  }
  return "";
}

}  // namespace postern::tls::test
