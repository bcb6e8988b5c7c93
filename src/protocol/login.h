// SPDX-License-Identifier: GPL-3.0-or-later
// What passes between a dialect's two halves and the session: who wants in, and how it ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "protocol/mechanism.h"

namespace postern::protocol {

// Text of others that we pass on: longer than any sentence, and no mail program shows more.
inline constexpr size_t text_size_max = 512;

// Both halves: nothing can be said before more bytes were fed.
struct NeedBytes {};

// What the mail program sent, to the octet. Nothing is normalised here.
struct Credentials {
  Mechanism mechanism = Mechanism::Login;
  // The authentication identity. Empty only with a token or a certificate, which then say alone who it is.
  std::string user;
  std::string authzid;  // the authorisation identity where it differs from `user`, else empty (RFC 4616, section 2)
  // Never empty where the mechanism sends one; with is_token() the token; with SCRAM and EXTERNAL there is none.
  Secret password;
  // SCRAM: the proof did not fit the keys. The attempt must be refused like any wrong password, and nobody is asked.
  bool proof_wrong = false;
};

// Why a login was refused, in the words of RFC 5530; each dialect has its own way to say it.
enum class RefusalCause : uint8_t {
  Credentials,  // wrong user or password: AUTHENTICATIONFAILED
  Unavailable,  // helper, mail server or gate cannot say now: UNAVAILABLE; the mail program keeps its password
  NotAllowed,   // right password, but not here: AUTHORIZATIONFAILED
  Limit,        // too many sessions: LIMIT
  Passed,       // the mail server's own code and text, passed on
};
inline constexpr size_t refusal_cause_count = 5;

// For logs and metrics.
constexpr std::string_view refusal_word(RefusalCause cause) {
  switch (cause) {
    case RefusalCause::Credentials: return "credentials";
    case RefusalCause::Unavailable: return "unavailable";
    case RefusalCause::NotAllowed: return "not-allowed";
    case RefusalCause::Limit: return "limit";
    case RefusalCause::Passed: return "passed";
  }
  return "unknown";
}

struct Refusal {
  RefusalCause cause = RefusalCause::Unavailable;
  // With Passed: the mail server's own code, in its dialect's form and fit to send: IMAP and ManageSieve a response code
  // without brackets, POP3 likewise, SMTP "550 5.7.1". May be empty.
  std::string code;
  std::string text;    // for people; without CR and LF; empty: the dialect's own sentence
  std::string alerts;  // as in Accepted
};

// The mail server let the user in.
struct Accepted {
  // IMAP: the mail server's capabilities after login ("IMAP4rev1 IDLE ..."), empty when it did not say. SMTP: those of its
  // last EHLO, one a line; they are not for the mail program but for smtp::RelayFilter.
  std::string capability;
  std::string text;  // its own words of welcome; without response code, CR and LF
  // Complete lines of the dialect that the user must see (IMAP "* OK [ALERT] ..."): they go out before the answer.
  std::string alerts;
};

// How to log in at the mail server, or, for a health check, that nobody shall log in.
struct BackLogin {
  std::string user;    // whose mailbox
  std::string master;  // log in as this user on behalf of `user` (SASL authzid); empty: as `user` itself
  Secret password;     // of `master` if set, else of `user`; a token where `mechanism` says so
  // When it must be this one. Nothing: what the mail server offers of LOGIN and PLAIN; a master always needs PLAIN. A
  // token always has its mechanism here.
  std::optional<Mechanism> mechanism;
  // Ask what the mail server can do, then leave; everything above is empty.
  bool probe = false;
};

// What a dialect may tell the mail server of the mail program, where the mail server asks for it and trusts us with it:
// IMAP ID, and XCLIENT in POP3 and SMTP.
struct BackIdentity {
  bool send = false;          // the pool or the route wants it
  bool send_login = false;    // XCLIENT LOGIN=: the mail server takes our word for the user; no password is sent (SMTP)
  std::string front_address;  // "192.0.2.7", the mail program's
  uint16_t front_port = 0;
  std::string local_address;  // the address it connected to
  uint16_t local_port = 0;
  std::string session_id;
  // IMAP ID x-proxy-ttl, POP3 XCLIENT TTL: how many proxies may still follow. Where no proxy came before, this many are
  // enough for any site, and few enough to end the loop of those that ask each other.
  uint8_t hops_left = 5;
  // What the mail program said of itself in its dialect.
  std::string helo;          // SMTP: EHLO's or HELO's argument, as it was sent; fit for a line
  bool helo_is_old = false;  // it said HELO
  bool utf8 = false;         // POP3: it said UTF8, which must be said again before the login
  std::string hostname;      // the gate's own name, where the mail program gave none (SMTP's health check)
};

}  // namespace postern::protocol
