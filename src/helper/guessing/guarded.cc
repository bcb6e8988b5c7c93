// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/guarded.h"

#include <algorithm>
#include <string>

#include "helper/asked.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

Attempt attempt_of(const Guessing& guessing, const NameRules& names, const postern_question& question) {
  Attempt attempt;
  attempt.user = canonical_name(view(question.user), names).value_or(folded(view(question.user)));
  attempt.client = Endpoint::parse(view(question.client), 1);
  attempt.protocol = view(question.protocol);
  attempt.session = view(question.session);
  attempt.tls = question.tls.size != 0;
  if (question.password.data != nullptr) attempt.digest = guessing.digest(attempt.user, view(question.password));
  return attempt;
}

Outcome outcome_of(const Decision& decision) {
  // Where the mail server verifies, nobody here has.
  if (decision.result == POSTERN_OK) return decision.check_at_back ? Outcome::NoVerdict : Outcome::Right;
  if (decision.result != POSTERN_REJECT || decision.reason != POSTERN_REASON_CREDENTIALS) return Outcome::NoVerdict;
  return decision.source.empty() ? Outcome::UnknownUser : Outcome::Wrong;
}

// To the mail program it is a wrong password like any other.
Decision blocked(const GuessingOptions& options) {
  Decision decision;
  decision.result = POSTERN_REJECT;
  decision.remember = false;
  decision.delay = options.delay_max;
  decision.why = "blocked after too many wrong passwords";
  return decision;
}

}  // namespace

Decision guarded(Guessing& guessing, const NameRules& names, const postern_question& question,
                 const std::function<Decision()>& verify) {
  // Of a SCRAM exchange the gate is the judge: here it is only known whether it may begin.
  const bool is_scram = view(question.op) == "scram";
  if (question.password.data == nullptr && !is_scram) return verify();
  const Attempt attempt = attempt_of(guessing, names, question);
  const Judgement judgement = guessing.before(attempt);
  if (std::holds_alternative<Blocked>(judgement)) return blocked(guessing.options());
  Decision decision = verify();
  if (is_scram) return decision;
  guessing.after(attempt, outcome_of(decision));
  decision.delay = std::max(decision.delay, std::get<Go>(judgement).delay);
  return decision;
}

}  // namespace postern::helper
