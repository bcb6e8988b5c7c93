// SPDX-License-Identifier: GPL-3.0-or-later
// What passes between a dialect's two halves and the session: who wants in, and how it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace postern::protocol {

// How the mail program proved itself. `Login` is the dialect's own command (IMAP LOGIN, POP3 USER and PASS); the others
// are SASL mechanisms.
enum class Mechanism : uint8_t { Login, Plain, SaslLogin };

// "LOGIN", "PLAIN": the word for the helper and the log. SASL LOGIN and the LOGIN command are the same to both.
std::string_view mechanism_word(Mechanism mechanism);

// Both halves: nothing can be said before more bytes were fed.
struct NeedBytes {};

// What the mail program sent, to the octet. Nothing is normalised here.
struct Credentials {
  Mechanism mechanism = Mechanism::Login;
  std::string user;     // the authentication identity; never empty
  std::string authzid;  // the authorisation identity where it differs from `user`, else empty (RFC 4616, section 2)
  Secret password;      // never empty
};

// Why a login was refused, in the words of RFC 5530; each dialect has its own way to say it.
enum class RefusalCause : uint8_t {
  Credentials,  // wrong user or password: AUTHENTICATIONFAILED
  Unavailable,  // helper, mail server or gate cannot say now: UNAVAILABLE; the mail program keeps its password
  NotAllowed,   // right password, but not here: AUTHORIZATIONFAILED
  Limit,        // too many sessions: LIMIT
  Passed,       // the mail server's own code and text, passed on
};

struct Refusal {
  RefusalCause cause = RefusalCause::Unavailable;
  std::string code;    // with Passed: the mail server's response code without brackets, may be empty
  std::string text;    // for people; without CR and LF; empty: the dialect's own sentence
  std::string alerts;  // as in Accepted
};

// The mail server let the user in.
struct Accepted {
  std::string
      capability;    // the mail server's capabilities after login ("IMAP4rev1 IDLE ..."), empty when it did not say
  std::string text;  // its own words of welcome; without response code, CR and LF
  // Complete lines of the dialect that the user must see (IMAP "* OK [ALERT] ..."): they go out before the answer.
  std::string alerts;
};

// How to log in at the mail server.
struct BackLogin {
  std::string user;    // whose mailbox
  std::string master;  // log in as this user on behalf of `user` (SASL PLAIN authzid); empty: as `user` itself
  Secret password;     // of `master` if set, else of `user`
  // Login or Plain, when it must be this one; a master always needs Plain. Nothing: what the mail server offers.
  std::optional<Mechanism> mechanism;
};

// What a dialect may tell the mail server of the mail program, where the mail server asks for it (IMAP ID).
struct BackIdentity {
  bool send = false;          // the pool trusts us with ID
  std::string front_address;  // "192.0.2.7", the mail program's
  uint16_t front_port = 0;
  std::string local_address;  // the address it connected to
  uint16_t local_port = 0;
  std::string session_id;
};

}  // namespace postern::protocol
