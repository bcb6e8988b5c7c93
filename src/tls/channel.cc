// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/channel.h"

#include <string.h>

#include <algorithm>

#include "tls/library.h"

namespace postern::tls {
namespace {

constexpr size_t record_plain_max = 16384;
// Header, explicit nonce (TLS 1.2), content type (TLS 1.3) and tag.
constexpr size_t record_overhead_max = RecordReader::header_size + 8 + 1 + 16;

constexpr char content_alert = 21;
constexpr size_t clear_alert_size = RecordReader::header_size + 2;

Failure failure_of(int library_error) {
  // The errors of certificate parsing have a range of their own; only a mail server shows us one.
  if (library_error <= ASN_PARSE_E && library_error >= ASN_ALT_NAME_E) return Failure::CertificateRefused;
  switch (library_error) {
    case VERSION_ERROR: return Failure::VersionTooOld;
    case MATCH_SUITE_ERROR:
    case UNSUPPORTED_SUITE:
    case ECC_CURVE_ERROR:
    case KEY_SHARE_ERROR: return Failure::NoCommonCipher;
    case UNKNOWN_ALPN_PROTOCOL_NAME_E: return Failure::WrongProtocol;
    case FATAL_ERROR:
    case WOLFSSL_ERROR_ZERO_RETURN:  // close_notify in the handshake
      return Failure::PeerAlert;
    case SECURE_RENEGOTIATION_E:
    case DUPLICATE_MSG_E: return Failure::Renegotiation;
    case DOMAIN_NAME_MISMATCH:
    case IPADDR_MISMATCH: return Failure::WrongName;
    case ASN_NO_SIGNER_E:
    case ASN_SELF_SIGNED_E:
    case ASN_NAME_INVALID_E:
    case ASN_PATHLEN_SIZE_E:
    case ASN_PATHLEN_INV_E:
    case KEYUSAGE_E:
    case EXTKEYUSAGE_E:
    case KEYUSE_SIGNATURE_E:
    case EXTKEYUSE_AUTH_E:
    case NOT_CA_ERROR:
    case MAX_CHAIN_ERROR:
    case RSA_KEY_SIZE_E:
    case ECC_KEY_SIZE_E:
    case PEER_KEY_ERROR:
    case VERIFY_SIGN_ERROR:
    case NO_PEER_CERT:
    case VERIFY_CERT_ERROR: return Failure::CertificateRefused;
    case MEMORY_E:
    case MEMORY_ERROR: return Failure::Internal;
    default: return Failure::BadRecord;
  }
}

// The alert that tells the peer (RFC 8446, section 6.2), where the library ends without one; alert_none: none is due.
int alert_of(Failure failure) {
  switch (failure) {
    case Failure::VersionTooOld: return protocol_version;
    case Failure::NoCommonCipher:
    case Failure::Renegotiation: return handshake_failure;
    case Failure::WrongProtocol: return no_application_protocol;
    case Failure::BadRecord: return unexpected_message;
    case Failure::CertificateRefused:
    case Failure::WrongName: return bad_certificate;
    case Failure::Internal: return internal_error;
    case Failure::None:
    case Failure::NotTls:
    case Failure::BadHello:
    case Failure::PeerAlert: break;
  }
  return alert_none;
}

// What the library keeps of the handshake though it is over: some 500 bytes of extensions a session. The interface has
// no call for it, so this reaches into the structure, of exactly the build that is linked in.
void free_handshake_state(WOLFSSL* ssl) {
#ifdef POSTERN_WOLFSSL_OWN
  TLSX_FreeAll(ssl->extensions, ssl->heap);
  ssl->extensions = nullptr;
#ifdef HAVE_SERVER_RENEGOTIATION_INFO
  ssl->secure_renegotiation = nullptr;  // pointed into the list
#endif
#else
  wolfSSL_FreeArrays(ssl);
#endif
}

}  // namespace

// What the library's callbacks read from and write to during one call of ours.
struct Channel::Wire {
  std::span<const char> in;
  Outbox& out;
  BlockPool& pool;

  Wire(WOLFSSL* ssl, std::span<const char> input, Outbox& output, BlockPool& blocks)
      : in(input), out(output), pool(blocks) {
    wolfSSL_SetIOReadCtx(ssl, this);
    wolfSSL_SetIOWriteCtx(ssl, this);
    wolfSSL_SSLSetIORecv(ssl, receive);
    wolfSSL_SSLSetIOSend(ssl, send);
  }
  ~Wire() { out.settle(pool); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  static int receive(WOLFSSL*, char* bytes, int size, void* user) {
    auto& wire = *static_cast<Wire*>(user);
    if (wire.in.empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
    const size_t taken = std::min(wire.in.size(), static_cast<size_t>(size));
    memcpy(bytes, wire.in.data(), taken);
    wire.in = wire.in.subspan(taken);
    return static_cast<int>(taken);
  }

  // Always takes everything: a record parked inside the library would be memory that an idle session keeps.
  static int send(WOLFSSL*, char* bytes, int size, void* user) {
    auto& wire = *static_cast<Wire*>(user);
    wire.out.append(wire.pool, {bytes, static_cast<size_t>(size)});
    return size;
  }
};

void Channel::Free::operator()(WOLFSSL* ssl) const {
  wolfSSL_free(ssl);
}

std::string_view failure_word(Failure failure) {
  switch (failure) {
    case Failure::None: return "none";
    case Failure::NotTls: return "not-tls";
    case Failure::VersionTooOld: return "version-too-old";
    case Failure::NoCommonCipher: return "no-common-cipher";
    case Failure::WrongProtocol: return "wrong-protocol";
    case Failure::BadHello: return "bad-hello";
    case Failure::BadRecord: return "bad-record";
    case Failure::PeerAlert: return "peer-alert";
    case Failure::Renegotiation: return "renegotiation";
    case Failure::CertificateRefused: return "certificate-refused";
    case Failure::WrongName: return "wrong-name";
    case Failure::Internal: return "internal";
  }
  return "unknown";
}

Channel::~Channel() = default;

Channel Channel::open_front(const Certificate& certificate, std::string_view alpn) {
  Channel channel;
  channel.ssl_.reset(wolfSSL_new(certificate.context.get()));
  if (!channel.ssl_) return channel;
  if (!alpn.empty()) {
    std::string name(alpn);
    if (wolfSSL_UseALPN(channel.ssl_.get(), name.data(), static_cast<unsigned>(name.size()),
                        WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS) {
      channel.ssl_.reset();
    }
  }
  return channel;
}

Channel Channel::open_back(const BackContext& context, std::string_view name) {
  Channel channel;
  channel.ssl_.reset(wolfSSL_new(context.context()));
  if (!channel.ssl_) return channel;
  const std::string host(name);
  if (wolfSSL_check_domain_name(channel.ssl_.get(), host.c_str()) != WOLFSSL_SUCCESS ||
      wolfSSL_UseSNI(channel.ssl_.get(), WOLFSSL_SNI_HOST_NAME, host.data(),
                     static_cast<unsigned short>(host.size())) != WOLFSSL_SUCCESS) {
    channel.ssl_.reset();
  }
  return channel;
}

// Within a Wire's life only: it may send an alert.
void Channel::fail(int library_error) {
  library_error_ = library_error;
  failure_ = failure_of(library_error);
  WOLFSSL_ALERT_HISTORY history = {};
  wolfSSL_get_alert_history(ssl_.get(), &history);
  if (failure_ == Failure::PeerAlert) alert_ = static_cast<int16_t>(history.last_rx.code);
#ifdef POSTERN_WOLFSSL_OWN
  // Without it a mail program sees a connection that just ends, and its user no reason.
  const int alert = alert_of(failure_);
  if (alert != alert_none && history.last_tx.level != alert_fatal) SendAlert(ssl_.get(), alert_fatal, alert);
#endif
}

std::optional<std::span<const char>> Channel::next_record(std::span<const char>& bytes) {
  std::optional<std::span<const char>> record = reader_.next(bytes);
  if (reader_.fault() == RecordReader::Fault::NotTls) failure_ = Failure::NotTls;
  if (reader_.fault() == RecordReader::Fault::TooLong) failure_ = Failure::BadRecord;
  return record;
}

Channel::Step Channel::shake_hands(std::span<const char> record, Outbox& cipher_out, BlockPool& pool) {
  WOLFSSL* ssl = ssl_.get();
  Wire wire(ssl, record, cipher_out, pool);
  const int result = wolfSSL_is_server(ssl) != 0 ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);
  if (result == WOLFSSL_SUCCESS) {
    free_handshake_state(ssl);
    return Step::Done;
  }
  const int error = wolfSSL_get_error(ssl, result);
  if (error == WOLFSSL_ERROR_WANT_READ) return Step::NeedBytes;
  fail(error);
  if (record.size() == clear_alert_size && record[0] == content_alert) {
    // OpenSSL, say, refuses a certificate in clear though TLS 1.3 has keys by then, which the library calls garbage.
    failure_ = Failure::PeerAlert;
    alert_ = static_cast<uint8_t>(record.back());
  }
  return Step::Failed;
}

Channel::Read Channel::read(std::span<const char> record, std::span<char> plain, Outbox& cipher_out, BlockPool& pool) {
  CHECK(plain.size() >= record.size());
  WOLFSSL* ssl = ssl_.get();
  Wire wire(ssl, record, cipher_out, pool);
  size_t size = 0;
  // One record gives its plaintext in one call; the second call takes the header of the next one, which is not there,
  // and so tells that nothing stayed behind in the library.
  while (true) {
    const int got = wolfSSL_read(ssl, plain.data() + size, static_cast<int>(plain.size() - size));
    if (got > 0) {
      size += static_cast<size_t>(got);
      if (wire.in.empty() && wolfSSL_pending(ssl) == 0) break;
      continue;
    }
    const int error = wolfSSL_get_error(ssl, got);
    if (error == WOLFSSL_ERROR_WANT_READ) break;
    if (error == WOLFSSL_ERROR_ZERO_RETURN) return {Read::Kind::Closed, size};
    fail(error);
    return {Read::Kind::Failed, size};
  }
  return {Read::Kind::Bytes, size};
}

bool Channel::write(std::string_view plain, Outbox& cipher_out, BlockPool& pool) {
  const size_t records = plain.size() / record_plain_max + 1;
  cipher_out.reserve(pool, plain.size() + records * record_overhead_max);
  Wire wire(ssl_.get(), {}, cipher_out, pool);
  while (!plain.empty()) {
    const std::string_view piece = plain.substr(0, record_plain_max);
    const int put = wolfSSL_write(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
    if (put <= 0) {
      fail(wolfSSL_get_error(ssl_.get(), put));
      return false;
    }
    plain.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

void Channel::close(Outbox& cipher_out, BlockPool& pool) {
  if (close_said_ || !ssl_) return;
  close_said_ = true;
  Wire wire(ssl_.get(), {}, cipher_out, pool);
  wolfSSL_shutdown(ssl_.get());
}

std::string_view Channel::version() const {
  return ssl_ ? std::string_view(wolfSSL_get_version(ssl_.get())) : std::string_view();
}

std::string_view Channel::cipher() const {
  if (!ssl_) return {};
  const char* name = wolfSSL_get_cipher_name(ssl_.get());
  if (name == nullptr) return {};
  // The library has its own words for the suites of TLS 1.3.
  static constexpr std::string_view renamed[][2] = {{"TLS13-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"},
                                                    {"TLS13-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384"},
                                                    {"TLS13-CHACHA20-POLY1305-SHA256", "TLS_CHACHA20_POLY1305_SHA256"}};
  for (const auto& [from, to] : renamed) {
    if (name == from) return to;
  }
  return name;
}

bool Channel::resumed() const {
  return ssl_ && wolfSSL_session_reused(ssl_.get()) != 0;
}

}  // namespace postern::tls
