// SPDX-License-Identifier: GPL-3.0-or-later
// Channel: one TLS connection in memory. Ciphertext goes in and comes out as bytes; no socket is known here.
//
// Whole records go in (records.h), records that are to be sent are appended to an Outbox. So between records the TLS
// library holds no buffer, and an idle channel is its state alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "base/outbox.h"
#include "base/packing.h"
#include "tls/context.h"
#include "tls/records.h"
#include "tls/sessions.h"
#include "tls/x509.h"

struct WOLFSSL;

namespace postern::tls {

// Why a channel ended or never began.
enum class Failure : uint8_t {
  None,
  NotTls,         // text on a TLS port
  VersionTooOld,  // nothing in common that the configuration allows
  NoCommonCipher,
  WrongProtocol,  // ALPN offered, but not ours: refused, lest another protocol's bytes be taken for mail (RFC 7301)
  BadHello,       // not a ClientHello, or one of absurd size
  BadRecord,      // forged, damaged or out of order
  PeerAlert,      // the other side gave up
  Renegotiation,  // asked for in TLS 1.2; never granted
  CertificateRefused,        // the mail server's certificate did not verify
  WrongName,                 // it verified, but names another host
  PinMismatch,               // the mail server's key is none of those that are pinned
  ClientCertificateRefused,  // the mail program's certificate did not verify
  ClientCertificateExpired,  // it, or an intermediate, has run out or is not valid yet
  ClientCertificateRevoked,
  ClientRevocationUnknown,  // there is no revocation list of its issuer, or that has run out
  Internal,                 // memory, or the library's own trouble
};

// A word for logs and counters: "bad-record".
std::string_view failure_word(Failure failure);

// What a handshake of the front found out besides keys.
struct Findings {
  std::optional<PeerCertificate> peer;  // the mail program's certificate, verified; nullopt: it showed none
  // The channel binding "tls-exporter" (RFC 9266), 32 bytes; empty: not asked for, or TLS 1.2 without extended master
  // secret, where there is none.
  std::string exporter_binding;
};

struct HandshakeNotes;

// What else a channel of the front is to find out. Each costs its session some memory until it is taken.
struct FrontWishes {
  bool exporter_binding = false;
};

class Channel {
 public:
  Channel() = default;
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&&) noexcept = default;
  ~Channel();

  // The front half of a connection, from a context's certificate. `alpn` is the one protocol that is served; empty: the
  // mail program offered none. Null on lack of memory.
  static Channel open_front(const Certificate& certificate, std::string_view alpn, FrontWishes wishes = {});
  // The back half: the mail server must show a certificate for `name` (a DNS name or an address as text), or one with a
  // key that `context` pins. `context` must outlive the handshake. A session of the same context and name is offered to
  // the mail server, which may take it or shake hands in full; any other is left alone. If the handshake fails then, one
  // without a session may do (see BackSessions::forget()). Null on lack of memory.
  static Channel open_back(const BackContext& context, std::string_view name, const BackSession* resume = nullptr);

  // The connection as bytes, its keys among them: thaw() makes a channel of them, in this process or in another one of
  // the same machine, and the peer notices nothing. This one stays as it is, but only one of the two may go on. Between
  // two events only, after the handshake and while nothing is to be found out any more. False, and bytes of no use: it
  // cannot be done (a connection that failed, a distribution's library).
  [[nodiscard]] bool freeze(Packer& out) const;
  // `is_front`: the half that it was. Null: these are no such bytes, or lack of memory.
  static Channel thaw(Unpacker& in, bool is_front);

  explicit operator bool() const { return ssl_ != nullptr; }

  enum class Step : uint8_t { NeedBytes, Done, Failed };

  // The next whole record at the front of `bytes`, or nullopt with `bytes` empty: what there was of a record is kept,
  // or failure() says why these are no records.
  std::optional<std::span<const char>> next_record(std::span<const char>& bytes);

  // Drives the handshake with one record; a back channel starts with an empty one.
  Step shake_hands(std::span<const char> record, Outbox& cipher_out, BlockPool& pool);

  struct Read {
    enum class Kind : uint8_t {
      Bytes,   // `size` bytes of plaintext were written; 0: the record was the library's own business
      Closed,  // close_notify: the peer sends no more (RFC 8446, section 6.1)
      Failed,
    };
    Kind kind;
    size_t size = 0;
  };
  // Opens one record into `plain`, which must be at least as long as the record.
  Read read(std::span<const char> record, std::span<char> plain, Outbox& cipher_out, BlockPool& pool);
  // Opens the whole records of `bytes` one after the other and lends the plaintext of each to `take`; what it was in is
  // wiped. Stops behind close_notify (true) and at a failure (false; failure() tells).
  bool read_all(std::span<const char> bytes, Outbox& cipher_out, BlockPool& pool,
                absl::FunctionRef<void(std::string_view)> take);
  // Seals `plain` as one or more records.
  [[nodiscard]] bool write(std::string_view plain, Outbox& cipher_out, BlockPool& pool);
  // Says close_notify, once.
  void close(Outbox& cipher_out, BlockPool& pool);

  Failure failure() const { return failure_; }
  // The library's number for it, for the log.
  int library_error() const { return library_error_; }
  // After PeerAlert: what the peer said, in the numbers of RFC 8446, section 6 (48: it does not know our authority).
  // -1: nothing.
  int alert() const { return alert_; }

  // After the handshake: "TLSv1.3", "TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256": OpenSSL's names, which
  // administrators know. Static texts.
  std::string_view version() const;
  std::string_view cipher() const;
  bool resumed() const;

  // After the handshake, once: what a front channel found out. Nothing of it stays behind.
  Findings take_findings();
  // A back channel's session, if the mail server has given a ticket since the last time: in TLS 1.2 within the
  // handshake, in TLS 1.3 at any read(). Empty: it has not, or `context` is not the channel's.
  BackSession take_session(const BackContext& context);

 private:
  struct Wire;
  bool offer(const BackSession& session);
  Step conclude_handshake();
  Failure failure_of_front(int library_error) const;
  void fail(int library_error);
  void drop_notes();

  struct Free {
    void operator()(WOLFSSL* ssl) const;
    void operator()(HandshakeNotes* notes) const;
  };
  std::unique_ptr<WOLFSSL, Free> ssl_;
  std::unique_ptr<HandshakeNotes, Free> notes_;  // null: nothing to find out, or it is taken
  RecordReader reader_;
  int library_error_ = 0;
  int16_t alert_ = -1;
  Failure failure_ = Failure::None;
  bool close_said_ = false;
};

}  // namespace postern::tls
