// SPDX-License-Identifier: GPL-3.0-or-later
// The face that each dialect's Back shows to the session: it logs in at a mail server.
//
// A Back is a pure machine, like a Front, and lives as long as the login at the mail server takes. Every dialect has a
// class Back with these members:
//
//   Back(BackLogin login, BackIdentity identity, BackTlsPlan tls);
//   void feed(std::string_view plaintext);
//   BackEvent next();                 until it says NeedBytes; after LoggedIn, Refused and Failed it says nothing else
//   void tls_started();               after TlsAgreed: the handshake is done, what is fed from now on came through TLS
//   Failed closed() const;            the mail server ended the connection: what to report
//   std::string take_unread();        after LoggedIn: what the mail server sent behind its OK, for the mail program
//
// The password is wiped as soon as the login has ended, in whatever way. No detail and no text of an event holds it,
// even if the mail server sends it back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/login.h"

namespace postern::protocol {

// What the Back has to do about TLS itself. Implicit TLS is not its business: that is `None` to it.
enum class BackTlsPlan : uint8_t { None, StartTls };

// Bytes for the mail server.
struct Send {
  Secret bytes;
};

// The mail server said yes to STARTTLS: begin the handshake, then call tls_started().
struct TlsAgreed {};

// The login stands. `accepted` is what Front::accepted() wants to know.
struct LoggedIn {
  Accepted accepted;
};

// The mail server said no. `refusal` is what Front::rejected() wants to know.
struct Refused {
  Refusal refusal;
  bool definitive = true;  // false: another member of the pool may know better
};

// How a login ended without the mail server's verdict on the user. The session may try the pool's next member; if there
// is none, the mail program hears "not now", never "wrong password".
enum class BackFailure : uint8_t {
  Garbage,      // not the dialect, or not in this place
  Bye,          // the mail server says goodbye: overloaded, or going down
  Preauth,      // it believes that we are somebody already; that is not this user's login
  Closed,       // the connection ended
  TooMuch,      // more bytes or lines than a login can need
  NoTls,        // STARTTLS is wanted and not to be had, or bytes came where only TLS may come
  NoMechanism,  // no way to log in that both sides know
  Bad,          // it did not understand our command
};

// A word for logs and counters: "garbage", "bye", ...
std::string_view failure_word(BackFailure failure);

struct Failed {
  BackFailure failure = BackFailure::Garbage;
  std::string detail;  // a sentence for the log
};

using BackEvent = std::variant<NeedBytes, Send, TlsAgreed, LoggedIn, Refused, Failed>;

}  // namespace postern::protocol
