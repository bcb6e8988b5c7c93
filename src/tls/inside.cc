// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/inside.h"

#include <string.h>

#include "base/copy.h"
#include "base/secret.h"
#include "tls/library.h"

#ifdef POSTERN_WOLFSSL_OWN
#include <wolfssl/crl.h>
#include <wolfssl/internal.h>
#endif

namespace postern::tls {

#ifdef POSTERN_WOLFSSL_OWN

namespace {

// The library asks for 460 bytes at most.
constexpr size_t export_size_max = 1024;

std::string_view octets(const void* bytes, size_t size) {
  return {static_cast<const char*>(bytes), size};
}

}  // namespace

void free_handshake_state(WOLFSSL* ssl) {
  TLSX_FreeAll(ssl->extensions, ssl->heap);
  ssl->extensions = nullptr;
#ifdef HAVE_SERVER_RENEGOTIATION_INFO
  ssl->secure_renegotiation = nullptr;  // pointed into the list
#endif
  if (ssl->options.side == WOLFSSL_CLIENT_END && ssl->options.tls1_3 != 0) SetTicket(ssl, nullptr, 0);
}

bool share_authorities(WOLFSSL_CTX* from, WOLFSSL_CTX* to) {
  if (wolfSSL_CertManager_up_ref(from->cm) != WOLFSSL_SUCCESS) return false;
  wolfSSL_CertManagerFree(to->cm);
  to->cm = from->cm;
  return true;
}

int load_revocation_list(WOLFSSL_CTX* context, std::string_view der) {
  return BufferLoadCRL(context->cm->crl, reinterpret_cast<const byte*>(der.data()), static_cast<long>(der.size()),
                       WOLFSSL_FILETYPE_ASN1, NO_VERIFY);
}

bool can_trust_keys() {
  return true;
}

void trust_keys(WOLFSSL* ssl) {
  ssl->options.verifyNone = 1;  // no look at issuers, and none is remembered from the chain
  ssl->options.verifyPeer = 1;  // yet Certificate and CertificateVerify must come
}

bool peer_proved_key(const WOLFSSL* ssl) {
  return ssl->options.havePeerCert != 0 && ssl->options.havePeerVerify != 0;
}

bool has_extended_master_secret(const WOLFSSL* ssl) {
  return ssl->options.haveEMS != 0;
}

WOLFSSL_SESSION* take_session(WOLFSSL* ssl, const WOLFSSL_CTX* context) {
  if (ssl->ctx != context || ssl->options.handShakeState != HANDSHAKE_DONE || ssl->session->ticketLen == 0)
    return nullptr;
  WOLFSSL_SESSION* session = wolfSSL_NewSession(nullptr);
  if (session != nullptr && wolfSSL_DupSession(ssl->session, session, 0) != WOLFSSL_SUCCESS) {
    wolfSSL_FreeSession(nullptr, session);
    session = nullptr;
  }
  SetTicket(ssl, nullptr, 0);
  return session;
}

void free_session(WOLFSSL_SESSION* session) {
  wolfSSL_FreeSession(nullptr, session);
}

std::string_view wanted_name(const WOLFSSL* ssl) {
  const auto& name = ssl->buffers.domainName;
  return name.buffer == nullptr ? std::string_view() : reinterpret_cast<const char*>(name.buffer);
}

// The library's export leaves out what only a KeyUpdate needs (RFC 8446, section 4.6.3): the traffic secrets, and which
// messages have come.
bool export_connection(WOLFSSL* ssl, Packer& out) {
  const auto& buffers = ssl->buffers;
  if (ssl->options.handShakeState != HANDSHAKE_DONE || buffers.inputBuffer.length != buffers.inputBuffer.idx ||
      buffers.outputBuffer.length != 0 || buffers.clearOutputBuffer.length != 0 || ssl->keys.keyUpdateRespond != 0) {
    return false;
  }
  byte bytes[export_size_max];
  unsigned size = sizeof bytes;
  const bool exported = wolfSSL_tls_export(ssl, bytes, &size) > 0;
  if (exported) {
    out.put(ssl->version.minor);
    out.put(std::string_view(reinterpret_cast<const char*>(bytes), size));
    out.put(octets(ssl->clientSecret, sizeof ssl->clientSecret));
    out.put(octets(ssl->serverSecret, sizeof ssl->serverSecret));
    out.put(octets(&ssl->msgsReceived, sizeof ssl->msgsReceived));
    out.put(static_cast<bool>(ssl->keys.updateResponseReq));
  }
  wipe(bytes, sizeof bytes);
  return exported;
}

bool import_connection(WOLFSSL* ssl, Unpacker& in) {
  const byte version = in.get<byte>();
  const std::string_view bytes = in.text();
  const std::string_view client_secret = in.text(), server_secret = in.text(), received = in.text();
  const bool awaits_update = in.get<bool>();
  const byte side = ssl->options.side;
  if (version != TLSv1_2_MINOR && version != TLSv1_3_MINOR) return false;
  // The library takes no connection of another version than the object's.
  ssl->version.minor = version;
  ssl->options.tls1_3 = version == TLSv1_3_MINOR;
  if (in.failed() || client_secret.size() != sizeof ssl->clientSecret ||
      server_secret.size() != sizeof ssl->serverSecret || received.size() != sizeof ssl->msgsReceived ||
      wolfSSL_tls_import(ssl, reinterpret_cast<const unsigned char*>(bytes.data()),
                         static_cast<unsigned>(bytes.size())) <= 0 ||
      ssl->options.side != side) {
    return false;
  }
  memcpy(ssl->clientSecret, client_secret.data(), client_secret.size());
  memcpy(ssl->serverSecret, server_secret.data(), server_secret.size());
  memcpy(&ssl->msgsReceived, received.data(), received.size());
  ssl->keys.updateResponseReq = awaits_update;
  // What a handshake would have needed, and freed.
  FreeHandshakeResources(ssl);
  free_handshake_state(ssl);
  return true;
}

void send_fatal_alert(WOLFSSL* ssl, int alert) {
  SendAlert(ssl, alert_fatal, alert);
}

namespace {

// The five bytes of a header within the structure: what a buffer is between records.
void make_static(bufferStatic& buffer) {
  buffer.buffer = buffer.staticBuffer;
  buffer.bufferSize = STATIC_BUFFER_LEN;
  buffer.length = 0;
  buffer.idx = 0;
}

void lend(bufferStatic& buffer, std::span<char> room) {
  buffer.buffer = reinterpret_cast<byte*>(room.data());
  buffer.bufferSize = static_cast<word32>(room.size());
  buffer.length = 0;
  buffer.idx = 0;
}

}  // namespace

LentInput::LentInput(WOLFSSL* ssl, std::span<char> room) : ssl_(ssl), room_(room) {
  bufferStatic& in = ssl->buffers.inputBuffer;
  // Neither a record nor plaintext may wait where the library put it itself; with whole records none does.
  lent_ = in.dynamicFlag == 0 && in.length == in.idx && ssl->buffers.clearOutputBuffer.length == 0;
  if (lent_) lend(in, room);
}

LentInput::~LentInput() {
  bufferStatic& in = ssl_->buffers.inputBuffer;
  if (lent_ && in.dynamicFlag == 0) make_static(in);
}

int LentInput::read() {
  if (!lent_) return wolfSSL_read(ssl_, room_.data(), static_cast<int>(room_.size()));
  // Asked for no byte, the library decrypts the next plaintext and leaves it where it is.
  const int result = wolfSSL_read(ssl_, room_.data(), 0);
  auto& clear = ssl_->buffers.clearOutputBuffer;
  if (clear.length == 0) return result;
  const auto size = static_cast<int>(clear.length);
  // TLS 1.2 has a nonce in front of the text. What the move leaves behind the text may be the end of a password.
  const auto* text = reinterpret_cast<const char*>(clear.buffer);
  if (text != room_.data()) {
    memmove(room_.data(), text, clear.length);
    wipe(room_.data() + size, static_cast<size_t>(text - room_.data()));
  }
  clear.buffer = nullptr;
  clear.length = 0;
  return size;
}

LentOutput::LentOutput(WOLFSSL* ssl, std::span<char> room) : ssl_(ssl) {
  bufferStatic& out = ssl->buffers.outputBuffer;
  if (room.empty() || out.dynamicFlag != 0 || out.length != 0) return;
  lent_ = true;
  next_ = room.data();
  lend(out, room);
}

LentOutput::~LentOutput() {
  bufferStatic& out = ssl_->buffers.outputBuffer;
  if (lent_ && out.dynamicFlag == 0) make_static(out);
}

bool LentOutput::sent(const char* bytes, size_t size) {
  bufferStatic& out = ssl_->buffers.outputBuffer;
  if (next_ == nullptr || bytes != next_ || out.dynamicFlag != 0) {
    // The library has replaced the buffer by one of its own and returns to its static one afterwards.
    next_ = nullptr;
    return false;
  }
  next_ += size;
  out.buffer += size;
  out.bufferSize -= static_cast<word32>(size);
  return true;
}

bool LentOutput::copies_slowly(std::string_view text) const {
  // In front of the text are the header and, in TLS 1.2 with AES, a nonce of 8 bytes.
  return next_ != nullptr && postern::copies_slowly(next_ + RECORD_HEADER_SZ, text.data(), text.size(), 8);
}

#else

void free_handshake_state(WOLFSSL* ssl) {
  wolfSSL_FreeArrays(ssl);
}

bool share_authorities(WOLFSSL_CTX*, WOLFSSL_CTX*) {
  return false;
}

int load_revocation_list(WOLFSSL_CTX* context, std::string_view der) {
  return wolfSSL_CTX_LoadCRLBuffer(context, reinterpret_cast<const byte*>(der.data()), static_cast<long>(der.size()),
                                   WOLFSSL_FILETYPE_ASN1);
}

bool can_trust_keys() {
  return false;
}

void trust_keys(WOLFSSL*) {}

bool peer_proved_key(const WOLFSSL*) {
  return true;
}

bool has_extended_master_secret(const WOLFSSL*) {
  return false;
}

WOLFSSL_SESSION* take_session(WOLFSSL*, const WOLFSSL_CTX*) {
  return nullptr;
}

void free_session(WOLFSSL_SESSION*) {}

std::string_view wanted_name(const WOLFSSL*) {
  return {};
}

bool export_connection(WOLFSSL*, Packer&) {
  return false;
}

bool import_connection(WOLFSSL*, Unpacker&) {
  return false;
}

void send_fatal_alert(WOLFSSL*, int) {}

LentInput::LentInput(WOLFSSL* ssl, std::span<char> room) : ssl_(ssl), room_(room) {}
LentInput::~LentInput() = default;

int LentInput::read() {
  return wolfSSL_read(ssl_, room_.data(), static_cast<int>(room_.size()));
}

LentOutput::LentOutput(WOLFSSL* ssl, std::span<char>) : ssl_(ssl) {}
LentOutput::~LentOutput() = default;

bool LentOutput::sent(const char*, size_t) {
  return false;
}

bool LentOutput::copies_slowly(std::string_view) const {
  return false;
}

#endif

}  // namespace postern::tls
