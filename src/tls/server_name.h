// SPDX-License-Identifier: GPL-3.0-or-later
// A mail server's name as the TLS library wants it. The library compares texts, and writes the addresses that stand in
// certificates in one form of its own; so do sessions with mail servers.
#pragma once

#include <string>
#include <string_view>

namespace postern::tls {

struct ServerName {
  std::string text;
  bool is_address = false;  // which is no name to ask a server for (RFC 6066, section 3)

  static ServerName of(std::string_view name);
};

}  // namespace postern::tls
