// SPDX-License-Identifier: GPL-3.0-or-later
// ClientHelloReader: what a mail program says of itself before the handshake (RFC 8446, section 4.1.2).
//
// Read before the TLS library sees a byte, because the answers choose the certificate: which name (SNI), which kind of
// key the mail program can verify, which application protocols and versions it offers. Nothing here is trusted beyond
// that choice; the library reads the same bytes again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::tls {

struct ClientHello {
  std::string server_name;        // lower case; empty: no SNI (RFC 6066, section 3)
  std::vector<std::string> alpn;  // offered application protocols, in order (RFC 7301); empty: no extension
  uint16_t version_max = 0;       // the highest offered: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3
  bool verifies_ecdsa = false;    // signature_algorithms holds ECDSA and, below TLS 1.3, a suite for it
};

// "TLSv1.3", "TLSv1.0", "SSLv3" or "0x7f1c": for the log.
std::string version_name(uint16_t version);

class ClientHelloReader {
 public:
  // A hello with post-quantum key shares and many extensions has some 2 KiB; this leaves room for years.
  static constexpr size_t size_max = 16384;

  enum class Status : uint8_t { NeedRecord, Done, Malformed, TooLong };

  // Takes one whole TLS record. A hello may be spread over several.
  Status feed(std::span<const char> record);

  // After Done.
  const ClientHello& hello() const { return hello_; }
  // All records fed, as they came: the handshake's first input.
  std::string_view records() const { return records_; }

 private:
  bool parse(std::string_view body);
  bool parse_extensions(std::string_view extensions);
  bool parse_extension(uint16_t type, std::string_view body);

  std::string records_;
  std::string message_;  // the handshake message without record headers
  ClientHello hello_;
  bool has_ecdsa_signature_ = false;
  bool has_ecdsa_suite_ = false;
};

}  // namespace postern::tls
