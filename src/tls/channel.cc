// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/channel.h"

#include <algorithm>
#include <utility>

#include "base/copy.h"
#include "base/secret.h"
#include "tls/handshake.h"
#include "tls/inside.h"
#include "tls/library.h"

namespace postern::tls {
namespace {

constexpr size_t record_plain_max = 16384;
// Header, nonce and tag, and what the library reckons with besides: it would not build a record in less room.
constexpr size_t record_overhead_max = 13 + 8 + 16;

constexpr char content_alert = 21;
constexpr size_t clear_alert_size = RecordReader::header_size + 2;

Failure failure_of(int library_error) {
  // The errors of certificate parsing have a range of their own.
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
    case SIG_VERIFY_E:
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
    case Failure::WrongName:
    case Failure::PinMismatch:
    case Failure::ClientCertificateRefused: return bad_certificate;
    case Failure::ClientCertificateExpired: return certificate_expired;
    case Failure::ClientCertificateRevoked: return certificate_revoked;
    case Failure::ClientRevocationUnknown: return certificate_unknown;
    case Failure::Internal: return internal_error;
    case Failure::None:
    case Failure::NotTls:
    case Failure::BadHello:
    case Failure::PeerAlert: break;
  }
  return alert_none;
}

}  // namespace

// What the library's callbacks read from and write to during one call of ours.
struct Channel::Wire {
  std::span<const char> in;
  Outbox& out;
  BlockPool& pool;
  LentOutput* lent = nullptr;  // where the library builds records, if it was lent a place

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
    copy_bytes(bytes, wire.in.data(), taken);
    wire.in = wire.in.subspan(taken);
    return static_cast<int>(taken);
  }

  // Always takes everything: a record parked inside the library would be memory that an idle session keeps.
  static int send(WOLFSSL*, char* bytes, int size, void* user) {
    auto& wire = *static_cast<Wire*>(user);
    const auto count = static_cast<size_t>(size);
    if (wire.lent != nullptr && wire.lent->sent(bytes, count)) {
      wire.out.commit(count);
    } else {
      wire.out.append(wire.pool, {bytes, count});
    }
    return size;
  }
};

void Channel::Free::operator()(WOLFSSL* ssl) const {
  wolfSSL_free(ssl);
}

void Channel::Free::operator()(HandshakeNotes* notes) const {
  delete notes;
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
    case Failure::PinMismatch: return "pin-mismatch";
    case Failure::ClientCertificateRefused: return "client-certificate-refused";
    case Failure::ClientCertificateExpired: return "client-certificate-expired";
    case Failure::ClientCertificateRevoked: return "client-certificate-revoked";
    case Failure::ClientRevocationUnknown: return "client-revocation-unknown";
    case Failure::Internal: return "internal";
  }
  return "unknown";
}

Channel::~Channel() = default;

Channel Channel::open_front(const Certificate& certificate, std::string_view alpn, FrontWishes wishes) {
  Channel channel;
  channel.ssl_.reset(wolfSSL_new(certificate.context.get()));
  if (!channel.ssl_) return channel;
  if (certificate.asks_for_certificates || wishes.exporter_binding) {
    channel.notes_.reset(new HandshakeNotes{.ssl = channel.ssl_.get(),
                                            .asks_for_certificate = certificate.asks_for_certificates,
                                            .wants_exporter = wishes.exporter_binding});
    prepare(*channel.notes_);
  }
  if (!alpn.empty()) {
    std::string name(alpn);
    if (wolfSSL_UseALPN(channel.ssl_.get(), name.data(), static_cast<unsigned>(name.size()),
                        WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS) {
      channel.ssl_.reset();
    }
  }
  return channel;
}

namespace {

bool set_name(WOLFSSL* ssl, const ServerName& name) {
  if (wolfSSL_check_domain_name(ssl, name.text.c_str()) != WOLFSSL_SUCCESS) return false;
  return name.is_address || wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name.text.data(),
                                           static_cast<unsigned short>(name.text.size())) == WOLFSSL_SUCCESS;
}

}  // namespace

Channel Channel::open_back(const BackContext& context, std::string_view name, const BackSession* resume) {
  Channel channel;
  channel.ssl_.reset(wolfSSL_new(context.context()));
  const ServerName server = ServerName::of(name);
  if (!channel.ssl_ || !set_name(channel.ssl_.get(), server)) return {};
  if (resume != nullptr && resume->is_for(context, server) && !channel.offer(*resume)) {
    // It has run out, and some of it may be in the channel by now.
    return open_back(context, name);
  }
  if (!context.pins().empty()) {
    channel.notes_.reset(new HandshakeNotes{.ssl = channel.ssl_.get(), .pins = &context.pins()});
    prepare(*channel.notes_);
  }
  return channel;
}

bool Channel::offer(const BackSession& session) {
  return wolfSSL_set_session(ssl_.get(), session.session_.get()) == WOLFSSL_SUCCESS;
}

BackSession Channel::take_session(const BackContext& context) {
  BackSession session;
  if (!ssl_ || failure_ != Failure::None) return session;
  session.session_.reset(postern::tls::take_session(ssl_.get(), context.context()));
  session.context_id_ = context.id();
  session.name_ = wanted_name(ssl_.get());
  return session;
}

Findings Channel::take_findings() {
  if (!notes_ || !notes_->complete) return {};
  Findings findings = std::move(notes_->findings);
  drop_notes();
  return findings;
}

void Channel::drop_notes() {
  if (notes_) forget(*notes_);
  notes_.reset();
}

// What went wrong is the fault of a certificate only where one was asked for.
Failure Channel::failure_of_front(int library_error) const {
  const Failure failure = failure_of(library_error);
  const bool asked = notes_ && notes_->asks_for_certificate;
  switch (library_error) {
    case ASN_BEFORE_DATE_E:
    case ASN_AFTER_DATE_E: return asked ? Failure::ClientCertificateExpired : Failure::BadRecord;
    case CRL_CERT_REVOKED: return Failure::ClientCertificateRevoked;
    case CRL_MISSING:
    case CRL_CERT_DATE_ERR:
    case ASN_CRL_CONFIRM_E:
    case ASN_CRL_NO_SIGNER_E: return Failure::ClientRevocationUnknown;
    default: break;
  }
  if (failure != Failure::CertificateRefused) return failure;
  return asked ? Failure::ClientCertificateRefused : Failure::BadRecord;
}

// Within a Wire's life only: it may send an alert.
void Channel::fail(int library_error) {
  if (notes_ && notes_->certificate_error != 0) library_error = notes_->certificate_error;
  library_error_ = library_error;
  failure_ = wolfSSL_is_server(ssl_.get()) != 0 ? failure_of_front(library_error) : failure_of(library_error);
  if (notes_ && notes_->pins != nullptr && library_error == VERIFY_CERT_ERROR) failure_ = Failure::PinMismatch;
  drop_notes();
  WOLFSSL_ALERT_HISTORY history = {};
  wolfSSL_get_alert_history(ssl_.get(), &history);
  if (failure_ == Failure::PeerAlert) alert_ = static_cast<int16_t>(history.last_rx.code);
  // Without it a mail program sees a connection that just ends, and its user no reason.
  const int alert = alert_of(failure_);
  if (alert != alert_none && history.last_tx.level != alert_fatal) send_fatal_alert(ssl_.get(), alert);
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
  if (result == WOLFSSL_SUCCESS) return conclude_handshake();
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

// Within a Wire's life only.
Channel::Step Channel::conclude_handshake() {
  if (notes_ && !conclude(*notes_)) {
    fail(VERIFY_CERT_ERROR);
    return Step::Failed;
  }
  free_handshake_state(ssl_.get());
  if (notes_ && !notes_->findings.peer && notes_->findings.exporter_binding.empty()) drop_notes();
  return Step::Done;
}

Channel::Read Channel::read(std::span<const char> record, std::span<char> plain, Outbox& cipher_out, BlockPool& pool) {
  CHECK(plain.size() >= record.size());
  WOLFSSL* ssl = ssl_.get();
  Wire wire(ssl, record, cipher_out, pool);
  LentInput input(ssl, plain);
  const int got = input.read();
  if (got > 0) return {Read::Kind::Bytes, static_cast<size_t>(got)};
  const int error = wolfSSL_get_error(ssl, got);
  if (error == WOLFSSL_ERROR_WANT_READ) return {Read::Kind::Bytes, 0};
  if (error == WOLFSSL_ERROR_ZERO_RETURN) return {Read::Kind::Closed, 0};
  fail(error);
  wipe(plain.data(), record.size());  // a forged record may be a password with one bit turned
  return {Read::Kind::Failed, 0};
}

namespace {

// The library copies a record's text to where it encrypts it, with memcpy: see base/copy.h. A text that would meet the
// slow case is first copied out of step, to a block that is borrowed for the moment.
class Detour {
 public:
  explicit Detour(BlockPool& pool) : pool_(pool) {}
  ~Detour() { pool_.give(block_, true); }
  Detour(const Detour&) = delete;
  Detour& operator=(const Detour&) = delete;

  std::string_view around(std::string_view text, const LentOutput& room) {
    if (!room.copies_slowly(text)) return text;
    if (block_ == nullptr) block_ = pool_.take(record_plain_max + step);
    std::string_view copy(block_->data(), text.size());
    if (room.copies_slowly(copy)) copy = {block_->data() + step, text.size()};
    block_->size = static_cast<uint32_t>(step + text.size());
    copy_bytes(block_->data() + (copy.data() - block_->data()), text.data(), text.size());
    return copy;
  }

 private:
  static constexpr size_t step = 1024;
  BlockPool& pool_;
  Block* block_ = nullptr;
};

}  // namespace

bool Channel::read_all(std::span<const char> bytes, Outbox& cipher_out, BlockPool& pool,
                       absl::FunctionRef<void(std::string_view)> take) {
  while (std::optional<std::span<const char>> record = next_record(bytes)) {
    Block* block = pool.take(record->size());
    const Read plain = read(*record, {block->data(), block->capacity}, cipher_out, pool);
    block->size = static_cast<uint32_t>(plain.size);
    take({block->data(), plain.size});
    pool.give(block, true);
    if (plain.kind != Read::Kind::Bytes) return plain.kind == Read::Kind::Closed;
  }
  return false;
}

bool Channel::write(std::string_view plain, Outbox& cipher_out, BlockPool& pool) {
  WOLFSSL* ssl = ssl_.get();
  const size_t records = plain.size() / record_plain_max + 1;
  LentOutput room(ssl, cipher_out.reserve(pool, plain.size() + records * record_overhead_max));
  Wire wire(ssl, {}, cipher_out, pool);
  wire.lent = &room;
  Detour detour(pool);
  while (!plain.empty()) {
    const std::string_view piece = detour.around(plain.substr(0, record_plain_max), room);
    const int put = wolfSSL_write(ssl, piece.data(), static_cast<int>(piece.size()));
    if (put <= 0) {
      fail(wolfSSL_get_error(ssl, put));
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

bool Channel::freeze(Packer& out) const {
  if (!ssl_ || notes_ || failure_ != Failure::None || !export_connection(ssl_.get(), out)) return false;
  out.put(reader_.unfinished());
  out.put(close_said_);
  return true;
}

Channel Channel::thaw(Unpacker& in, bool is_front) {
  Channel channel;
  channel.ssl_.reset(wolfSSL_new(thawing_context(is_front)));
  if (!channel.ssl_ || !import_connection(channel.ssl_.get(), in)) return {};
  const std::string_view unfinished = in.text();
  channel.close_said_ = in.get<bool>();
  if (in.failed()) return {};
  std::span<const char> bytes(unfinished.data(), unfinished.size());
  // A whole record would have been handed out.
  if (channel.reader_.next(bytes) || channel.reader_.fault() != RecordReader::Fault::None) return {};
  return channel;
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
