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

#include "base/outbox.h"
#include "tls/context.h"
#include "tls/records.h"

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
  CertificateRefused,  // the mail server's certificate did not verify
  WrongName,           // it verified, but names another host
  Internal,            // memory, or the library's own trouble
};

// A word for logs and counters: "bad-record".
std::string_view failure_word(Failure failure);

class Channel {
 public:
  Channel() = default;
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&&) noexcept = default;
  ~Channel();

  // The front half of a connection, from a context's certificate. `alpn` is the one protocol that is served; empty: the
  // mail program offered none. Null on lack of memory.
  static Channel open_front(const Certificate& certificate, std::string_view alpn);
  // The back half: the mail server must show a certificate for `name` (a DNS name or an address as text).
  static Channel open_back(const BackContext& context, std::string_view name);

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

 private:
  struct Wire;
  void fail(int library_error);

  struct Free {
    void operator()(WOLFSSL* ssl) const;
  };
  std::unique_ptr<WOLFSSL, Free> ssl_;
  RecordReader reader_;
  int library_error_ = 0;
  int16_t alert_ = -1;
  Failure failure_ = Failure::None;
  bool close_said_ = false;
};

}  // namespace postern::tls
