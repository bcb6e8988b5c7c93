// SPDX-License-Identifier: GPL-3.0-or-later
// Source: a place that knows users. postern-auth asks its sources in the order of its configuration.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/secret.h"
#include "helper/asked.h"
#include "helper/route.h"
#include "helper/sources/turnstile.h"

namespace postern::helper {

// What a source knows of a user.
struct Entry {
  Secret hash;           // see passwords.h
  bool has_hash = true;  // false: the source keeps none for anybody, so it is about routes, or the mail server verifies
  bool check_at_back = false;  // there is no hash: the mail server verifies the password
  bool disabled = false;       // the account is switched off
  Route route;                 // ask() fills the rules' defaults in
  std::string label;           // which of the user's passwords it is, for people; empty: his own, or nobody says
  Route limits;                // allow_nets, allow_protocols and expires of this password; the route's hold as well
};

// One user may have several passwords, each with its own restrictions: an entry for each. Never empty.
using Entries = std::vector<Entry>;
// More passwords of one user are not looked at: each costs a hash.
inline constexpr size_t entries_max = 16;
// Of the one.
Entries one_entry(Entry entry);

// The source has verified the password or token itself. Only `hash` and `check_at_back` of the entry say nothing.
struct Admitted {
  Entry entry;
};

// The source says no, by itself.
struct Refused {
  postern_reason reason = POSTERN_REASON_CREDENTIALS;
  std::string why;   // for the log, without secrets
  std::string text;  // for the user; empty: the gate's own sentence
  std::string code;  // a response code (RFC 5530) for the user; may be empty
  Duration delay{};  // as the source wishes; zero: as configured
};

Refused refuse(postern_reason reason, std::string why);

// The source has no such user: the next one is asked.
struct UnknownUser {};

// The source cannot say: locked, unreachable, too slow, broken. Never a mismatch, because it might have known the user.
struct SourceFailure {
  std::string text;  // for the log; without secrets
};

using Lookup = std::variant<UnknownUser, Entries, Admitted, Refused, SourceFailure>;

// For Source::check(): the login of somebody whom there is not. Its texts live for ever.
postern_question question_of_nobody();
// Ok, unless the source could not say.
absl::Status status_of(const Lookup& lookup);

// Whose entries are not what they were.
struct Changes {
  bool all = false;                // too many to name, or nobody can say which
  std::vector<std::string> users;  // each name once or several times

  bool empty() const { return !all && users.empty(); }
};

// What the administrator says of any source, whatever its kind.
struct SourceRules {
  enum class Then : uint8_t { Stop, Continue };

  std::string name;                    // for the log; empty: what the source calls itself
  bool only_route = false;             // it does not verify: it says where the users go whom others have verified
  std::vector<std::string> users;      // folded patterns; others are unknown here; empty: everybody
  std::vector<std::string> protocols;  // "imap", ...; empty: all
  Then on_unknown = Then::Continue;
  Then on_mismatch = Then::Stop;
  Then on_failure = Then::Stop;  // whoever goes on: a failure is never turned into a mismatch by what comes behind it
  std::string default_scheme;    // of hashes that say none: "{SSHA}"
  bool check_at_back = false;    // where it keeps no password, the mail server verifies
  Route defaults;
  TurnstileOptions turnstile;
};

class Source {
 public:
  virtual ~Source() = default;

  // For the log: "sqlite:/var/lib/postern/users.db".
  virtual const std::string& name() const = 0;
  // From any thread, by several at once; may block, for about as long as its time limit.
  virtual Lookup find(const Asked& asked) = 0;
  // Whether it verifies tokens, and whether passwords.
  virtual bool takes_tokens() const { return false; }
  virtual bool takes_passwords() const { return true; }
  // It answers from this machine's memory or files, at once: nothing has to be bounded.
  virtual bool is_local() const { return false; }
  // Whether it may have the stored hash of a user.
  virtual bool keeps_hashes() const { return true; }
  // What has changed since the last call. From one thread, about once a second.
  virtual Changes poll() { return {}; }
  // What has changed in the last hour or so: for a gate that was not connected meanwhile. From the thread of poll().
  virtual Changes recent() { return {}; }
  // He has logged in, and `fresh` is a better hash of the same password than `old`, which the source gave. Keeps it, if
  // it can and still has the old one; a failure is the log's, not the login's. From any thread.
  virtual void upgrade(const std::string& user, const Secret& old, Secret fresh) {
    static_cast<void>(user), static_cast<void>(old), static_cast<void>(fresh);
  }
  // For --check: reads all that there is, or at least asks for a user. A Status has a sentence, or several with LF
  // between, on what is wrong with it.
  virtual absl::Status check() = 0;
  // For --check: what works, but should be otherwise. Sentences.
  virtual std::vector<std::string> advice() const { return {}; }

  // Before the first question.
  void set_rules(SourceRules rules);
  const SourceRules& rules() const { return rules_; }
  // The name that the administrator gave it, or its own.
  const std::string& title() const { return rules_.name.empty() ? name() : rules_.name; }
  // Whether the question is for this source at all: of a kind that it can judge, and of its users and protocols.
  bool takes(const Asked& asked) const;
  bool can_judge(const Asked& asked) const;
  // find() behind the turnstile, its answer completed by the rules' defaults.
  Lookup ask(const Asked& asked);
  const Turnstile& turnstile() const { return turnstile_; }

 private:
  SourceRules rules_;
  Turnstile turnstile_;
};

}  // namespace postern::helper
