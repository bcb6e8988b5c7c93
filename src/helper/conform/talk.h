// SPDX-License-Identifier: GPL-3.0-or-later
// Talk: a conversation with the helper under test as the gate would hold it, and what was found in it.
//
// Whatever the helper says goes through the gate's own reader (auth/wire.h). What the gate could not use, and what it
// would take but the manual forbids, is a fault of the finding, whichever check comes upon it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "auth/question.h"
#include "auth/wire.h"
#include "base/secret.h"
#include "helper/conform/link.h"
#include "helper/conform/show.h"

namespace postern::helper::conform {

// Whom to ask and with what.
struct Setup {
  std::string socket;
  Duration patience{};
  std::string user;  // empty: nobody whose password is known
  Secret password;
  Secret noise;  // a password that nobody has
};

// What one check found.
struct Finding {
  Transcript sent, came;
  std::string fault;  // the first; empty: none

  void fail(std::string text) {
    if (fault.empty()) fault = std::move(text);
  }
};

// A question as an IMAP login over TLS makes it, from an address that no other question of this run comes from: helpers
// may count wrong passwords by address.
auth::Question question_for(std::string_view user, std::string_view password);
// The same for a user who does not exist, with a password that nobody has.
auth::Question question_for_nobody(const Setup& setup);
// A name that nobody has, another one each time.
std::string nobody();

class Talk {
 public:
  // Both must outlive it.
  Talk(const Setup& setup, Finding& finding) : setup_(setup), finding_(finding), link_(setup.patience) {}

  // Connects and greets. False: the finding says why. What is the same in every check is not shown unless it fails.
  bool open(bool is_shown = false);
  // Bytes as they are, with their LF where they have one.
  bool say(std::string_view bytes);
  // An answer to this id is due.
  void expect(uint64_t id) { due_.insert(id); }
  // Puts a question; its id is due then. Nothing: it makes too long a line.
  std::optional<uint64_t> put(const auth::Question& question);
  // Reads until an id that is due is answered; nothing if no answer comes, which is a fault.
  std::optional<auth::HeardAnswer> hear();
  // True if for so long no line comes but such as may come at any time.
  bool hears_nothing(Duration span);
  // put() and hear() in one.
  std::optional<auth::HeardAnswer> ask(const auth::Question& question);
  // Asks for nobody: the connection must still be served, and nothing may be left over of what was asked before.
  void conclude();
  // After a line that no gate sends: the helper may answer with an error or hang up, but must serve the next question,
  // here or on a new connection. `hidden`: ids that must not be answered but with an error.
  void conclude_hostile(const std::set<uint64_t>& hidden = {});

  Link& link() { return link_; }
  Finding& finding() { return finding_; }

 private:
  // The next line that is no invalidation; nothing at the end or in silence.
  std::optional<auth::Heard> next();
  std::optional<auth::Heard> take(const Secret& line);
  void end_usual();
  void note(std::string_view line, const auth::Heard& heard);
  bool shows_secret(const auth::Form& form) const;
  bool may_ignore(const auth::Heard& heard, const std::set<uint64_t>& hidden);

  const Setup& setup_;
  Finding& finding_;
  Link link_;
  uint64_t last_id_ = 100;
  std::set<uint64_t> due_;
  bool is_usual_ = false;  // greeting or concluding: not worth a line of the report, unless it fails
  Secret unshown_;         // the last line that came meanwhile
};

// The verdict of an answer, after what is wrong with it has become a fault.
auth::Verdict read_verdict(const auth::HeardAnswer& heard, Finding& finding);
// "ok", "reject", ... or "nothing".
std::string result_of(const auth::HeardAnswer& heard);
// The answer is a refusal; a fault else.
void expect_reject(const auth::HeardAnswer& heard, Finding& finding, std::string_view whom);
// Whatever it is, it does not let in.
void expect_not_ok(const auth::HeardAnswer& heard, Finding& finding, std::string_view whom);
// `result=error`.
void expect_error(const auth::HeardAnswer& heard, Finding& finding);

}  // namespace postern::helper::conform
