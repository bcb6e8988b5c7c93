// SPDX-License-Identifier: GPL-3.0-or-later
// What is spoken at a door or with a mail server.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::session {

// `Alpn` is a listener's only: each connection there says by ALPN which of the others it speaks.
enum class Dialect : uint8_t { Imap, Pop3, Submission, Sieve, Alpn };

// Those that a session can speak.
inline constexpr Dialect spoken_dialects[] = {Dialect::Imap, Dialect::Pop3, Dialect::Submission, Dialect::Sieve};

// For the configuration, the helper and logs.
constexpr std::string_view dialect_word(Dialect dialect) {
  switch (dialect) {
    case Dialect::Imap: return "imap";
    case Dialect::Pop3: return "pop3";
    case Dialect::Submission: return "submission";
    case Dialect::Sieve: return "sieve";
    case Dialect::Alpn: return "alpn";
  }
  return {};
}

}  // namespace postern::session
