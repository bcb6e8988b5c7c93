// SPDX-License-Identifier: GPL-3.0-or-later
// Source: a place that knows users. postern-auth asks its sources in the order of its configuration.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/secret.h"
#include "helper/route.h"

namespace postern::helper {

// What a source knows of a user.
struct Entry {
  Secret hash;                 // see passwords.h
  bool check_at_back = false;  // there is no hash: the mail server verifies the password
  bool disabled = false;       // the account is switched off
  Route route;                 // the source's defaults are filled in
};

// The source has no such user: the next one is asked.
struct UnknownUser {};

// The source cannot say: locked, unreadable, broken. Never a mismatch, and no other source is asked, because this one
// might have known the user.
struct SourceFailure {
  std::string text;  // for the log; without secrets
};

using Lookup = std::variant<UnknownUser, Entry, SourceFailure>;

// Whose entries are not what they were.
struct Changes {
  bool all = false;                // too many to name, or nobody can say which
  std::vector<std::string> users;  // each name once or several times

  bool empty() const { return !all && users.empty(); }
};

class Source {
 public:
  virtual ~Source() = default;

  // For the log: "sqlite:/var/lib/postern/users.db".
  virtual const std::string& name() const = 0;
  // From any thread, by several at once; may block.
  virtual Lookup find(const std::string& user) = 0;
  // What has changed since the last call. From one thread, about once a second.
  virtual Changes poll() = 0;
  // What has changed in the last hour or so: for a gate that was not connected meanwhile. From the thread of poll().
  virtual Changes recent() = 0;
  // He has logged in, and `fresh` is a better hash of the same password than `old`, which the source gave. Keeps it, if
  // it can and still has the old one; a failure is the log's, not the login's. From any thread.
  virtual void upgrade(const std::string& user, const Secret& old, Secret fresh) {
    static_cast<void>(user), static_cast<void>(old), static_cast<void>(fresh);
  }
  // For --check: reads all that there is. A Status has a sentence, or several with LF between, on what is wrong with it.
  virtual absl::Status check() = 0;
};

}  // namespace postern::helper
