// SPDX-License-Identifier: GPL-3.0-or-later
// Talk: a simulated mail program's side of one connection, in any of its dialects: what it says, and what it makes of
// what it hears. It knows neither sockets nor time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "perf/wire/protocol.h"

namespace postern::swarm {

struct Account {
  std::string user;
  std::string password;
};

// What a mail program may ask for once it is logged in.
struct Request {
  enum class Kind : uint8_t {
    Noop,
    Fetch,  // the mail, or its beginning; not in submission
    Idle,   // IMAP only, and so is Done, which ends it
    Done,
    LogOut,
  };

  Kind kind = Kind::Noop;
  uint64_t size = 0;  // Fetch: so many bytes of the mail; 0: all of it
};

enum class Heard : uint8_t {
  Nothing,  // complete
  Ok,       // the greeting, or the answer to what was said last
  Refused,  // the same, but it says no
  Garbage,  // what the dialect does not know
};

class Talk {
 public:
  virtual ~Talk() = default;

  // The command for each step of the login, from 0 on; empty: there is no such step, so all is said.
  virtual std::string login_line(unsigned step, const Account& account) = 0;
  virtual std::string request_line(const Request& request) = 0;

  // Takes bytes from the beginning of `chunk` until something was heard or all are taken; those of a mail are added to
  // `mail_bytes`.
  Heard hear(std::string_view& chunk, uint64_t& mail_bytes);
  // The other side announced that it will end the connection.
  bool said_bye() const { return said_bye_; }

 protected:
  virtual Heard on_line(std::string_view line) = 0;
  // While a mail comes, its bytes go here: takes those from the beginning of `chunk`. Nothing: more of it may come.
  virtual bool is_in_mail() const { return false; }
  virtual Heard on_mail(std::string_view& chunk, uint64_t& mail_bytes);

  bool said_bye_ = false;

 private:
  Heard hear_line(std::string_view& chunk);

  std::string line_;  // the beginning of a line whose end has not come
};

std::unique_ptr<Talk> make_talk(wire::Protocol protocol);
// One each in the dialect's file.
std::unique_ptr<Talk> make_imap_talk();
std::unique_ptr<Talk> make_pop3_talk();
std::unique_ptr<Talk> make_submission_talk();

}  // namespace postern::swarm
