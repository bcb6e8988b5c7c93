// SPDX-License-Identifier: GPL-3.0-or-later
// Verifier: a question in, a decision out. It asks the sources in order: an unknown user goes on to the next one, a
// wrong password ends it, and a source that cannot say ends it too, because it might have known better.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "helper/passwords.h"
#include "helper/source.h"
#include "postern/helper.h"

namespace postern::helper {

struct Decision {
  postern_result result = POSTERN_UNAVAILABLE;
  postern_reason reason = POSTERN_REASON_CREDENTIALS;
  Route route;                     // with POSTERN_OK; its user is written out
  bool check_at_back = false;      // nobody has verified the password yet
  bool vary_client = false;        // another address of the mail program may get another answer
  std::string source;              // who decided; empty: nobody knew the user
  std::optional<ScramKeys> scram;  // the answer to keys()
  std::string why;                 // for the log: "unknown user", "wrong password"; without secrets
};

class Verifier {
 public:
  Verifier(std::vector<std::unique_ptr<Source>> sources, const Passwords::Options& options);

  // From any thread, by several at once; takes as long as sources and hashes take. A user whom nobody knows takes as
  // long as one with a wrong password.
  Decision verify(const postern_question& question);
  // The stored keys of the question's user, and where he goes if he proves that he knows the password. The same answer
  // for all who have none: the gate goes on as if there were some.
  Decision keys(const postern_question& question);

  const std::vector<std::unique_ptr<Source>>& sources() const { return sources_; }

 private:
  std::optional<Decision> ask_sources(const std::string& user, const std::function<Decision(Source&, Entry)>& judge);
  // Of a user whose source has been found.
  Decision judge(Source& source, Entry entry, const postern_question& question, const std::string& user);
  // The password, or its proof, is right: what else there is to say.
  Decision admit(Entry entry, const postern_question& question, const std::string& user);

  std::vector<std::unique_ptr<Source>> sources_;
  Passwords passwords_;
};

}  // namespace postern::helper
