// SPDX-License-Identifier: GPL-3.0-or-later
// What a session is told by the configuration: the listener it came through, the pools, the limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace postern::session {

enum class Dialect : uint8_t { Imap };

enum class FrontTls : uint8_t { Implicit, StartTls, None };

struct ListenerOptions {
  std::string name;  // for logs and the cache's key: what the file says, or "imap-993"
  Dialect dialect = Dialect::Imap;
  std::vector<Endpoint> addresses;
  FrontTls tls = FrontTls::Implicit;
  std::string pool = "default";
  bool login_without_tls = false;  // with tls = "none" or "starttls": passwords may cross in clear
  bool proxy_protocol = false;     // every connection begins with a PROXY header, v1 or v2
  std::vector<Network> trusted;    // who may send one; empty with proxy_protocol is refused by the checker
};

struct PoolOptions {
  std::string name;
  Dialect dialect = Dialect::Imap;
  std::vector<Endpoint> members;
  auth::BackTls tls = auth::BackTls::None;
  std::string tls_name;  // in the members' certificates; empty: the route must bring it
  std::string tls_ca;    // PEM file; empty: the system's
  bool send_id = false;  // IMAP ID with the mail program's address before login
  Duration connect_timeout = std::chrono::seconds(5);
  Duration login_timeout = std::chrono::seconds(30);
  Duration retry_after = std::chrono::seconds(10);  // a member that failed is asked last for this long
};

struct Limits {
  uint32_t sessions = 100000;
  Duration handshake_timeout = std::chrono::seconds(30);
  Duration login_timeout = std::chrono::seconds(60);
  Duration idle_timeout = std::chrono::minutes(31);  // RFC 9051, section 5.4: at least 30 minutes
  uint32_t line_size = 8192;                         // bytes of one command line before login, without literals
  uint32_t literal_size = 4096;                      // bytes of one literal before login: names and passwords
  uint32_t bad_commands = 10;                        // a session, before login
  uint32_t login_attempts = 5;                       // a session
};

struct Options {
  std::string hostname;
  std::vector<ListenerOptions> listeners;
  std::vector<PoolOptions> pools;
  Limits limits;
};

}  // namespace postern::session
