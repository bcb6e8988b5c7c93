// SPDX-License-Identifier: GPL-3.0-or-later
// Verifier: a question in, a decision out. It asks the sources in order. Unless their rules say otherwise, an unknown
// user goes on to the next one, a wrong password ends it, and a source that cannot say ends it too, because it might have
// known better. Where the user goes may then be another source's business.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "base/clock.h"
#include "helper/names.h"
#include "helper/passwords/passwords.h"
#include "helper/sources/source.h"
#include "postern/helper.h"

namespace postern::helper {

struct Decision {
  postern_result result = POSTERN_UNAVAILABLE;
  postern_reason reason = POSTERN_REASON_CREDENTIALS;
  Route route;                     // with POSTERN_OK; its user and backs are written out
  bool check_at_back = false;      // nobody has verified the password yet
  bool vary_client = false;        // another address of the mail program may get another answer
  std::string source;              // who decided; empty: nobody knew the user
  std::string label;               // of which of his passwords; empty: his own, or nobody says
  std::optional<ScramKeys> scram;  // the answer to keys()
  std::string why;                 // for the log: "unknown user", "wrong password"; without secrets
  std::string text, code;          // for the user, where the source has words of its own
  Duration delay{};                // with POSTERN_REJECT: as the source wishes; zero: as configured
  bool remember = true;            // false: the gate asks again each time
};

// What happened on the way, for `postern-auth explain`.
struct Step {
  std::string source;
  std::string what;
  Duration taken{};
};

class Verifier {
 public:
  // Sources with their rules set.
  Verifier(std::vector<std::unique_ptr<Source>> sources, const Passwords::Options& options, NameRules names = {});

  // From any thread, by several at once; takes as long as sources and hashes take. A user whom nobody knows takes as
  // long as one with a wrong password. `steps`, if any, gets what happened.
  Decision verify(const postern_question& question, std::vector<Step>* steps = nullptr);
  // The stored keys of the question's user, and where he goes if he proves that he knows the password. The same answer
  // for all who have none: the gate goes on as if there were some.
  Decision keys(const postern_question& question);
  // Where the user would go who is in already: no password is looked at.
  Decision route(const postern_question& question, std::vector<Step>* steps = nullptr);

  const NameRules& names() const { return names_; }
  const std::vector<std::unique_ptr<Source>>& sources() const { return sources_; }

 private:
  struct Way;
  using Judge = std::function<Decision(Way&, Lookup)>;

  Decision ask_chain(Way& way, const Judge& judge);
  Decision judge(Way& way, Lookup lookup);
  Decision judge_entries(Way& way, Entries entries);
  Decision judge_keys(Way& way, Entries entries);
  void renew(Way& way, const Secret& stored);
  Verification compare(const Entry& entry, std::string_view password);
  // The password, or its proof, is right: what else there is to say.
  Decision admit(Way& way, Entry entry);
  Decision admit_known(Way& way, Entries entries);
  Decision admit_master(Way& way, Entry entry);
  // What the sources that only route say of him.
  Decision add_route(Way& way, Decision decision);
  Decision external(const postern_question& question, std::vector<Step>* steps);
  Decision route_of(const postern_question& question, const std::string& name, std::vector<Step>* steps);
  void hash_for_nobody(const postern_question& question);
  Decision no_such_user(const postern_question& question, std::string why);

  std::vector<std::unique_ptr<Source>> sources_;
  Passwords passwords_;
  const NameRules names_;
  // Hashes that are computed at one time: more would only make each other late.
  std::counting_semaphore<1024> hashing_;
};

}  // namespace postern::helper
