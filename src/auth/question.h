// SPDX-License-Identifier: GPL-3.0-or-later
// Question and Verdict: what the gate asks the helper, and what it hears (postern-helper protocol, version 1).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/scram_keys.h"
#include "base/secret.h"

namespace postern::auth {

// The ports of the dialect at the mail server: a back that the helper names without a port gets one of these.
struct BackPorts {
  uint16_t clear = 143;
  uint16_t implicit = 993;  // where the answer says `tls=implicit`
};

// Everything the helper is told of one login. The answer may depend on all of it except `session_id` and `client`'s
// port; on `client` only where it says so (`vary=client`). `back_ports` is not told; it completes the answer.
struct Question {
  enum class Kind : uint8_t {
    Verify,  // may this one in, and where to?
    Scram,   // the stored keys of `user`, and where to if he proves that he knows the password: no password comes along
  };
  // What the mail program's certificate said; all empty: it showed none. The helper has it with mechanism=EXTERNAL.
  struct Certificate {
    std::string subject;      // "CN=joe,O=Example"
    std::string common_name;  // "joe"
    std::string email;
    std::string fingerprint;  // SHA-256 of the certificate, hexadecimal
  };

  Kind kind = Kind::Verify;
  std::string protocol;   // "imap", "pop3", "submission", "sieve"
  std::string mechanism;  // "LOGIN", "PLAIN", "XOAUTH2", ...
  std::string user;       // empty only with a token or a certificate
  std::string authzid;    // empty: none, or the same as user
  Secret password;
  bool is_token = false;  // the password is a bearer token, and is sent as `token`
  Certificate certificate;
  Endpoint client;       // the mail program's address
  Endpoint local;        // the address it connected to
  std::string listener;  // the listener's name in the configuration
  std::string tls;       // "TLSv1.3"; empty: in clear
  std::string sni;       // empty: none
  std::string session_id;
  BackPorts back_ports;
};

// How the back wants its TLS.
enum class BackTls : uint8_t { None, StartTls, Implicit };

// Where the user's mail lives and how to log in there. What an answer leaves out comes from the pool. `backs` and `pool`
// are never both set, nor are `password` and `master_user`; `master_user` always has its password.
struct Route {
  std::string user;                // the name at the mail server; empty: as the mail program said it
  std::optional<Secret> password;  // empty: the mail program's own
  std::string master_user;         // log in as this one on behalf of `user`
  Secret master_password;
  std::vector<Endpoint> backs;  // in order of preference; empty: the members of `pool`
  std::string pool;             // empty: the listener's pool
  // While the user is being moved: another mail server, that is asked where those above say that he cannot log in.
  std::optional<Endpoint> moving_to;
  std::string moving_to_tls_name;  // the name in its certificate; empty: as for those above
  std::optional<BackTls> tls;
  std::string tls_name;  // the name in the mail server's certificate
  std::string
      mechanism;  // "LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER" or "EXTERNAL"; empty: what the mail server offers
  uint8_t proxy_protocol = 0;   // 1 or 2: begin with a PROXY header of that version; 0: as the pool says
  std::optional<bool> xclient;  // tell the mail server who the mail program is
  uint32_t sessions_max = 0;    // of this user, at the same time; 0: no limit

  Route clone() const;
};

struct Accept {
  Route route;
  std::optional<ScramKeys> scram;  // the answer to Kind::Scram has them
};

enum class RejectReason : uint8_t { Credentials, Disabled, NotAllowed };

struct Reject {
  RejectReason reason = RejectReason::Credentials;
  Duration delay{0};  // the mail program hears of it this much later
  std::string code;   // a response code for the mail program (RFC 5530), may be empty; graphic ASCII without "[]\"\\"
  std::string text;   // for people, may be empty; without control characters
};

// Nobody knows: the helper said so, is away, is slow or talks nonsense. Never a mismatch.
struct NotNow {
  std::string text;  // why, for the log; the helper's own words where it gave some; without control characters
};

using Verdict = std::variant<NotNow, Accept, Reject>;

// A second copy, on purpose: it may hold passwords.
Verdict clone(const Verdict& verdict);

}  // namespace postern::auth
