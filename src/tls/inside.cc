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
