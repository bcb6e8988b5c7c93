// SPDX-License-Identifier: GPL-3.0-or-later
// The PROXY protocol's header, versions 1 and 2: what a load balancer writes in front of a connection to say from where
// it really comes. Everything behind the header belongs to TLS or to the dialect.
//
// It is believed as it stands: whoever uses this has checked that the peer may send one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/endpoint.h"

namespace postern::proxy_header {

// Version 1, with its CRLF (section 2.1 of the specification).
inline constexpr size_t v1_size_max = 107;
// Version 2, behind its 16 fixed bytes: addresses take up to 216, TLVs the rest. Load balancers send some hundred
// bytes; a client certificate may be among them and takes two thousand. The field could say 65535, and a stranger
// would.
inline constexpr size_t v2_rest_max = 4096;

struct NeedBytes {};

// The connection is what its own addresses say: a health check of the load balancer (LOCAL), or of a kind that IP
// addresses cannot describe (UNKNOWN, UNSPEC, Unix sockets).
struct Local {};

// From where to where the connection goes, as the load balancer saw it. An IPv4 address mapped into IPv6 is given as
// IPv4. A port may be 0.
struct Proxied {
  Endpoint source, destination;
  // Version 2's TLVs (section 2.2), of a load balancer that ended the mail program's TLS itself.
  bool tls = false;         // the mail program spoke TLS with it
  std::string tls_version;  // "TLSv1.3"; printable; empty: not said
  std::string sni;          // the name that the mail program asked for; printable; empty: not said
};

struct Header {
  std::variant<Local, Proxied> from;
  size_t consumed = 0;  // bytes of the last feed() that belong to the header; those behind are not ours
};

enum class Bad : uint8_t {
  NotAHeader,  // it begins in another way: a direct connection, most likely
  TooLong,     // beyond the limits above
  Malformed,   // version, command, family, address, port or length that the specification does not allow
};

// A word for logs and counters: "not-a-header", ...
std::string_view bad_word(Bad bad);

using Step = std::variant<NeedBytes, Header, Bad>;

// One for each connection; it is spent after Header or Bad.
class Reader {
 public:
  // Says Bad as early as it can be known, and takes all bytes while it says NeedBytes.
  Step feed(std::string_view bytes);

 private:
  Step read_v1(size_t fed_before);
  Step read_v2(size_t fed_before);

  std::string bytes_;
};

}  // namespace postern::proxy_header
