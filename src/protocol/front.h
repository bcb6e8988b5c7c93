// SPDX-License-Identifier: GPL-3.0-or-later
// The face that each dialect's Front shows to the session: it answers a mail program from the greeting to the login.
//
// A Front is a pure machine: bytes go in, events come out, one at a time, when they are asked for. It lives on the heap
// for the length of a login and dies when the relay begins. Every dialect has a class Front with these members:
//
//   explicit Front(FrontOptions options);
//   std::string greeting();                         to be sent first, whatever was fed before
//   void feed(std::string_view plaintext);          keeps a copy; the caller wipes its own
//   FrontEvent next();                              until it says NeedBytes
//   bool wants_bytes() const;                       false: do not read from the mail program now
//   std::string accepted(const Accepted& accepted); after Login: what to send; the relay may begin behind it
//   std::string rejected(const Refusal& refusal);   after Login: what to send; the mail program may try again
//   std::string take_unread();                      after accepted(): what the mail program sent behind its login
//   std::string bye(std::string_view text) const;   the dialect's goodbye, for a time-out or a shutdown
//
// Memory is bounded by the limits in FrontOptions, plus what is fed at once, plus `unread_size_max`. Bytes are wiped as
// they are consumed and when the Front dies, since any of them may belong to a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "protocol/login.h"

namespace postern::protocol {

struct FrontOptions {
  std::string hostname;           // for the greeting; may be empty
  bool tls_active = false;        // the connection is inside TLS
  bool starttls_offered = false;  // ignored when tls_active
  bool login_allowed = false;     // passwords may cross this connection; otherwise no login command is even considered
  uint32_t line_size = 8192;      // bytes of one command, without its literals
  uint32_t literal_size = 4096;   // bytes of one literal; a command may hold twice as much in all: a name, a password
  uint32_t bad_commands = 10;     // the one that reaches this number ends the session
  uint32_t login_attempts = 5;    // the refusal that reaches this number ends the session
};

// While a login is verified the mail program may go on sending (for the mail server). Beyond this many bytes a Front no
// longer wants_bytes(): one socket read's worth, and far more than a mail program pipelines behind its login.
inline constexpr size_t unread_size_max = 16384;

// Bytes for the mail program. The session goes on.
struct Reply {
  std::string bytes;
};

// Send `reply`, then hand the connection to TLS and make a new Front. This one is spent: it has forgotten all that was
// fed, and will forget all that still is.
struct StartTls {
  std::string reply;
  size_t dropped = 0;  // bytes that stood behind the command; more than none is an injection, or a broken program
};

// Who wants in. The Front now waits for accepted() or rejected(); next() says NeedBytes until then.
struct Login {
  Credentials credentials;
};

enum class GoodbyeReason : uint8_t {
  Logout,           // the mail program asked for it
  BadCommands,      // the limit on bad commands
  LoginAttempts,    // the limit on refused logins
  TooLong,          // a line or a literal beyond its limit: the rest cannot be told apart any more
  NotThisProtocol,  // a web browser or another stranger; `text` is empty
};

// Send `text` (bytes of the dialect, may be empty), then close. The Front is spent.
struct Goodbye {
  std::string text;
  GoodbyeReason reason = GoodbyeReason::Logout;
};

using FrontEvent = std::variant<NeedBytes, Reply, StartTls, Login, Goodbye>;

}  // namespace postern::protocol
