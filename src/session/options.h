// SPDX-License-Identifier: GPL-3.0-or-later
// What a session is told by the configuration: the listener it came through, the pools, the limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "protocol/mechanism.h"
#include "session/dialect.h"

namespace postern::session {

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
  std::vector<std::string> pools;  // with Alpn, in place of `pool`: the first one of the dialect serves it
  protocol::Mechanisms mechanisms = protocol::Mechanisms::usual();
  std::string client_ca;                  // PEM file: mail programs' certificates are asked for and must lead there
  std::string client_crl;                 // PEM file of what was revoked
  std::vector<Network> webmail;           // hosts that may name their users' addresses
  std::vector<std::string> capabilities;  // announced before login in place of what the health check learnt
};

struct MemberOptions {
  std::string host;  // an address, or a name that is resolved again and again
  uint16_t port = 0;
  uint32_t weight = 1;
  std::optional<Endpoint> address;  // of `host` and `port`, where the host is an address

  std::string text() const { return address ? address->text() : host + ":" + std::to_string(port); }
};

enum class Balance : uint8_t { Order, LeastSessions, UserHash };
enum class ProxyHeader : uint8_t { None, V1, V2 };

struct PoolOptions {
  std::string name;
  Dialect dialect = Dialect::Imap;
  std::vector<MemberOptions> members;
  Balance balance = Balance::Order;
  uint32_t sessions_max = 0;  // of a member, counted over all reactors; 0: no limit
  Duration slow_start{0};     // with LeastSessions: how long a member that is back gets less than its share
  Duration check_interval = std::chrono::seconds(30);  // of the health check; 0: none
  auth::BackTls tls = auth::BackTls::None;
  std::string tls_name;               // in the members' certificates; empty: the route must bring it
  std::string tls_ca;                 // PEM file; empty: the system's
  std::vector<std::string> tls_pins;  // base64 SHA-256 of public keys; then no CA and no name is needed
  std::string tls_certificate;        // PEM file: the gate's own certificate, for mail servers that ask for one
  std::string tls_key;
  bool send_id = false;  // who the mail program is: IMAP ID, or XCLIENT in POP3 and submission, where it is offered
  bool xclient_login = false;  // submission: XCLIENT LOGIN in place of a password
  ProxyHeader proxy_protocol = ProxyHeader::None;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration login_timeout = std::chrono::seconds(30);
  Duration retry_after = std::chrono::seconds(10);  // a member that failed is asked last for this long
};

// What runs on this machine itself: a webmail, a monitor.
inline std::vector<Network> local_hosts() {
  return {*Network::parse("127.0.0.0/8"), *Network::parse("::1/128")};
}

struct Limits {
  uint32_t sessions = 100000;
  // What follows is counted by Admission; 0: no limit.
  uint32_t sessions_per_address = 1000;  // an office, or some hundred customers behind one address of their provider
  uint32_t sessions_per_network = 0;     // a provider's customers may all come from few networks
  uint32_t network_prefix_v4 = 24;
  uint32_t network_prefix_v6 = 48;
  uint32_t sessions_per_user = 0;  // where the helper does not say; mail servers have limits of their own
  uint32_t unauthenticated = 20000;
  uint32_t unauthenticated_per_address = 500;
  uint32_t handshake_rate = 0;                  // a second; what the machine can do is not known here
  uint32_t handshake_rate_per_address = 100;    // a second
  std::vector<Network> exempt = local_hosts();  // by address, network and rate nobody is counted here
  uint64_t memory = 0;                          // bytes of the process
  Duration proxy_timeout = std::chrono::seconds(5);
  Duration closing_timeout = std::chrono::seconds(10);
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
