// SPDX-License-Identifier: GPL-3.0-or-later
// Back: logs in at a mail server, or asks it what it can do. This file is the frame that all dialects share: lines and
// their limits, the turn to TLS, the end. A dialect (imap/back.h, ...) adds the conversation.
//
// A Back is a pure machine, like a Front, and lives as long as the login at the mail server takes. The password is wiped
// as soon as the login has ended, in whatever way. No detail and no text of an event holds it, even if the mail server
// sends it back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/line/reader.h"
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

// What a mail server can do, before login: the end of a probe. One capability a line, in the dialect's own form: IMAP
// "IDLE", POP3 "TOP", SMTP "SIZE 1000000", ManageSieve "\"SIEVE\" \"fileinto\"". After STARTTLS it is what was said there.
struct Learned {
  std::string capabilities;
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
// False: another user's login may well succeed there, since it is this one's name, mechanism or promise that the mail
// server could not do with. A mail server must not count as down for it, or one user could take it from all.
bool concerns_every_login(BackFailure failure);

struct Failed {
  BackFailure failure = BackFailure::Garbage;
  std::string detail;  // a sentence for the log
};

using BackEvent = std::variant<NeedBytes, Send, TlsAgreed, LoggedIn, Refused, Learned, Failed>;

class Back {
 public:
  // No line of a login is longer: capability lists stay under 2 KiB.
  static constexpr size_t line_size_max = 8192;
  // All of a login, literals included, and its lines. A mail server that greets with a novel is broken or no mail
  // server.
  static constexpr size_t login_size_max = 65536;
  static constexpr size_t login_lines_max = 200;

  Back(BackLogin login, BackIdentity identity, BackTlsPlan tls);
  virtual ~Back() = default;
  Back(const Back&) = delete;
  Back& operator=(const Back&) = delete;

  void feed(std::string_view plaintext);
  // Until it says NeedBytes; after LoggedIn, Refused, Learned and Failed it says nothing else. Behind Learned the
  // connection may be closed at once: the goodbye was sent.
  BackEvent next();
  // Only after TlsAgreed (CHECK): the handshake is done, what is fed from now on came through TLS.
  void tls_started();
  // The mail server ended the connection: what to report.
  Failed closed() const;
  // After LoggedIn: what the mail server sent behind its OK, for the mail program.
  std::string take_unread() { return reader_.take_unread(); }

 protected:
  using Event = std::optional<BackEvent>;  // nullopt: read on

  // ---- What a dialect has to say ----
  // A whole line, without its end. It is wiped after the call. While skip() is under way no line comes.
  virtual Event on_line(std::string_view line) = 0;
  // TLS stands after TlsAgreed, and we have the word.
  virtual BackEvent secured() = 0;
  // What comes next from the mail server: "its greeting", for logs.
  virtual std::string_view awaited() const = 0;
  // Where any line may hold strings as literals (ManageSieve): the limits within which they are read as part of it. Here:
  // a line is a line.
  virtual std::optional<line::CommandLimits> literals() const { return std::nullopt; }

  // ---- What a dialect may use ----
  const BackLogin& login() const { return login_; }
  const BackIdentity& identity() const { return identity_; }
  bool wants_starttls() const { return tls_ == BackTlsPlan::StartTls && !secured_; }
  // Throws away the next `size` octets (a literal), then goes on with lines; false: more than a login can need.
  [[nodiscard]] bool skip(uint64_t size);
  // The answer to STARTTLS was yes.
  BackEvent tls_agreed();
  BackEvent send(std::string_view line) const { return Send{Secret(line)}; }
  BackEvent logged_in(Accepted accepted);
  BackEvent refused(Refusal refusal, bool definitive);
  BackEvent learned(std::string capabilities, std::string_view goodbye);
  BackEvent fail(BackFailure failure, std::string detail);
  // Whether a name or the password has one of these octets in it, which the dialect's own command cannot carry. A NUL
  // no dialect can.
  bool login_holds(std::string_view octets) const;
  // The message of a SASL mechanism, in base64.
  Secret client_message(Mechanism mechanism) const;
  // Whether the text repeats the password, in a form in which we may have sent it. It may be a master's password, which
  // the mail program must never see.
  bool holds_password(std::string_view text) const;
  // The mail server's words, fit for the mail program; empty where they hold the password.
  std::string text_to_show(std::string_view text) const;

 private:
  enum class State : uint8_t {
    Talking,
    Tls,       // it agreed; not a byte may come before tls_started()
    Secured,   // TLS stands and we have the word
    Leaving,   // a probe has sent its goodbye, and Learned is due
    LoggedIn,  // what is fed is the mail program's
    Over,      // refused or failed; what is fed is dropped
  };

  Event next_line();
  Event skip_octets();
  void end(State state);

  BackLogin login_;
  BackIdentity identity_;
  BackTlsPlan tls_;
  State state_ = State::Talking;
  line::Reader reader_;
  size_t octets_left_ = 0;  // to be skipped
  size_t size_ = 0;         // read so far
  size_t lines_ = 0;
  bool secured_ = false;
  std::string learned_;
};

}  // namespace postern::protocol
