// SPDX-License-Identifier: GPL-3.0-or-later
// Front: answers a mail program from the greeting to the login. This file is the frame that all dialects share: what is
// expected next, SASL, and the limits. A dialect (imap/front.h, ...) adds its commands and its words.
//
// A Front is a pure machine: bytes go in, events come out, one at a time, when they are asked for. It lives on the heap
// for the length of a login and dies when the relay begins.
//
// Memory is bounded by the limits in FrontOptions, plus what is fed at once, plus `unread_size_max`. Bytes are wiped as
// they are consumed and when the Front dies, since any of them may belong to a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/scram_keys.h"
#include "protocol/line/reader.h"
#include "protocol/login.h"
#include "protocol/sasl/exchange.h"

namespace postern::protocol {

struct FrontOptions {
  std::string hostname;           // for the greeting; may be empty
  bool tls_active = false;        // the connection is inside TLS
  bool starttls_offered = false;  // ignored when tls_active
  bool login_allowed = false;  // credentials may cross this connection; otherwise no login command is even considered
  // This Front begins after a STARTTLS handshake: no greeting comes, but what the dialect says at that point.
  bool after_starttls = false;
  // What is offered once login_allowed; Login stands for the dialect's own command.
  sasl::Means means{.mechanisms = Mechanisms::usual()};
  // What the mail servers can do, as far as they all can: one capability a line, in the dialect's own form (back.h,
  // Learned). Empty: not known.
  std::string learned;
  // The mail program is a webmail host that may name its user's address (IMAP ID, XCLIENT); see FrontSaid.
  bool may_name_address = false;
  uint32_t line_size = 8192;     // bytes of one command, without its literals
  uint32_t literal_size = 4096;  // bytes of one literal; a command may hold twice as much in all: a name, a password
  uint32_t bad_commands = 10;    // the one that reaches this number ends the session
  uint32_t login_attempts = 5;   // the refusal that reaches this number ends the session
};

// While a login is verified the mail program may go on sending (for the mail server). Beyond this many bytes a Front no
// longer wants_bytes(): one socket read's worth, and far more than a mail program pipelines behind its login.
inline constexpr size_t unread_size_max = 16384;

// A login that was refused here, without a question to anybody; for the log.
struct RefusedHere {
  enum class Why : uint8_t { Empty, NeedsTls };  // no user or no password; passwords do not cross this connection
  Why why = Why::Empty;
  std::string user;  // where it was said
};

// Bytes for the mail program. The session goes on.
struct Reply {
  std::string bytes;
  std::optional<RefusedHere> refused = {};
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

// SCRAM: whose keys are needed. The Front now waits for keys() or rejected().
using WantsKeys = sasl::WantsKeys;

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
  std::optional<RefusedHere> refused = {};
};

using FrontEvent = std::variant<NeedBytes, Reply, StartTls, Login, WantsKeys, Goodbye>;

// For people, the same in every dialect; its code says the rest.
std::string_view refusal_sentence(RefusalCause cause);
inline constexpr std::string_view privacy_sentence = "Start TLS first; passwords do not cross this connection in clear";

// What a trusted webmail host said of its user's connection, where FrontOptions::may_name_address; empty: nothing.
struct FrontSaid {
  std::string address;  // an address as text, not checked
  uint16_t port = 0;
  std::string session_id;            // fit for a log: printable, without blanks
  std::optional<uint8_t> hops_left;  // IMAP ID x-proxy-ttl, from anyone
};

class Front {
 public:
  explicit Front(FrontOptions options);
  virtual ~Front() = default;
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // To be sent first, whatever was fed before; after STARTTLS it is empty in most dialects.
  virtual std::string greeting() = 0;
  // Keeps a copy; the caller wipes its own.
  void feed(std::string_view plaintext);
  // Until it says NeedBytes.
  FrontEvent next();
  // False: do not read from the mail program now.
  bool wants_bytes() const;

  // The three count only while a Login or WantsKeys waits for its answer; at any other time they are the caller's
  // mistake (CHECK).
  // After WantsKeys; nullptr: the helper knows no such user, or no keys of his. next() goes on.
  void keys(const ScramKeys* keys);
  // After Login: what to send; the relay may begin behind it.
  std::string accepted(const Accepted& accepted);
  // What to send; the mail program may try again. Token mechanisms first hear why and must answer (RFC 7628, section
  // 3.2.3); then next() brings the refusal itself.
  std::string rejected(const Refusal& refusal);

  // After accepted(): what the mail program sent behind its login.
  std::string take_unread() { return reader_.take_unread(); }
  // The dialect's goodbye, for a time-out or a shutdown.
  virtual std::string bye(std::string_view text) const = 0;
  // What of the mail program's own words belongs into the login at the mail server (BackIdentity: helo, utf8).
  virtual void describe(BackIdentity& identity) const;
  const FrontSaid& heard() const { return said_; }

 protected:
  // nullopt: look at what comes next.
  using Answer = std::optional<FrontEvent>;

  // ---- What a dialect has to say ----
  // Takes the next command out of reader() and answers it.
  virtual FrontEvent next_command() = 0;
  // Takes the next line of a SASL exchange out of reader() and gives it to sasl_line(), or says NeedBytes or a Goodbye.
  // Here: a bare line (IMAP, POP3, SMTP).
  virtual FrontEvent next_sasl_line();
  // The line that carries a challenge.
  virtual std::string challenge(std::string_view base64) const = 0;
  // The answer to a login: to accepted(), to rejected(), and to an exchange that went wrong (BadBase64, Cancelled,
  // Malformed; never Empty).
  virtual std::string say_accepted(const Accepted& accepted) = 0;
  virtual std::string say_refused(const Refusal& refusal) = 0;
  virtual std::string say_failed(sasl::Failure failure) = 0;
  // The end after `answer`, as a whole: most dialects put a bye() behind it.
  virtual std::string say_last(std::string answer, std::string_view why) const { return answer + bye(why); }
  // The end at a line or a literal beyond its limit.
  virtual std::string say_too_long() const { return bye("That is too long"); }

  // ---- What a dialect may use ----
  line::Reader& reader() { return reader_; }
  const FrontOptions& options() const { return options_; }
  FrontSaid& said() { return said_; }
  // Whether a login command or AUTH with this mechanism is possible at all.
  bool offers(Mechanism mechanism) const { return options_.login_allowed && options_.means.mechanisms.has(mechanism); }
  bool offers_starttls() const { return !options_.tls_active && options_.starttls_offered; }
  // Begins SASL with the first event. Nothing: that mechanism is not offered here.
  [[nodiscard]] std::optional<FrontEvent> authenticate(std::string_view mechanism,
                                                       std::optional<std::string_view> initial);
  FrontEvent sasl_line(std::string_view base64);
  // The dialect's own command was whole; an empty user or password is refused without a question to anybody.
  FrontEvent log_in(Credentials credentials);
  // A refusal of our own. It counts as an attempt.
  FrontEvent refuse(std::string answer, RefusedHere refused = {RefusedHere::Why::NeedsTls, {}});
  // An answer to a bad command, counted.
  FrontEvent bad(std::string answer);
  FrontEvent goodbye(std::string text, GoodbyeReason reason);
  FrontEvent too_long() { return goodbye(say_too_long(), GoodbyeReason::TooLong); }
  // What was sent in clear behind the command came from who knows whom: it never counts.
  FrontEvent start_tls(std::string reply);
  // SASL's mechanisms on this connection, each with `before` in front of it: " PLAIN LOGIN". Empty: there is no login here.
  std::string offered_mechanisms(std::string_view before) const;
  // What a webmail host says of its user's session, and a proxy of itself.
  void note_session(std::string_view id);
  void note_hops(uint64_t hops_left);
  // A word that begins what web browsers send.
  static bool is_http_method(std::string_view word);

 private:
  enum class State : uint8_t {
    Command,       // a command is expected
    Sasl,          // a line of an AUTHENTICATE exchange is expected
    TokenRefused,  // the mail program's answer to the reason is expected
    Verifying,     // a Login or WantsKeys is out
    LoggedIn,      // accepted: what is fed is the mail server's
    Leaving,       // the last attempt was refused, and a Goodbye is due
    Over,          // nothing more will be understood; what is fed is dropped
  };

  FrontEvent on_sasl(sasl::Step step);
  std::string count_refusal(std::string answer);

  FrontOptions options_;
  line::Reader reader_;
  std::optional<sasl::Exchange> exchange_;
  std::optional<sasl::Step> pending_;       // what keys() brought
  Mechanism mechanism_ = Mechanism::Login;  // of the login that is out
  std::optional<Refusal> token_refusal_;
  FrontSaid said_;
  uint32_t bad_commands_ = 0;
  uint32_t attempts_ = 0;
  State state_ = State::Command;
};

}  // namespace postern::protocol
