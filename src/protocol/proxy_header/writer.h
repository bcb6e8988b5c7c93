// SPDX-License-Identifier: GPL-3.0-or-later
// The PROXY protocol's header towards a mail server: who the mail program is, before anything else is said, TLS included.
#pragma once

#include <string>

#include "base/endpoint.h"

namespace postern::proxy_header {

// What version 2 can tell besides the addresses; empty: not told.
struct Told {
  std::string sni;          // the name that the mail program asked for
  std::string tls_version;  // "TLSv1.3"
  std::string tls_cipher;
  std::string user;        // as the helper names him; in a TLV of the range for private use (0xE0)
  std::string session_id;  // in the TLV for a connection's unique id
};

// `source` is the mail program, `destination` where it connected to. Of different families, an IPv4 address is mapped
// into IPv6.
std::string write_v1(const Endpoint& source, const Endpoint& destination);
std::string write_v2(const Endpoint& source, const Endpoint& destination, const Told& told);

}  // namespace postern::proxy_header
