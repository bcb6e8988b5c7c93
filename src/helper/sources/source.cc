// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/source.h"

#include <algorithm>
#include <utility>

#include "helper/names.h"

namespace postern::helper {
namespace {

constexpr uint32_t connections_unbounded = UINT32_MAX;

Turnstile::Result result_of(const Lookup& lookup) {
  if (std::holds_alternative<UnknownUser>(lookup)) return Turnstile::Result::Unknown;
  if (std::holds_alternative<Refused>(lookup)) return Turnstile::Result::Refused;
  if (std::holds_alternative<SourceFailure>(lookup)) return Turnstile::Result::Failed;
  return Turnstile::Result::Found;
}

}  // namespace

Entries one_entry(Entry entry) {
  Entries entries;
  entries.push_back(std::move(entry));
  return entries;
}

Refused refuse(postern_reason reason, std::string why) {
  Refused refused;
  refused.reason = reason;
  refused.why = std::move(why);
  return refused;
}

postern_question question_of_nobody() {
  postern_question question{};
  question.protocol = postern_text("imap");
  question.mechanism = postern_text("PLAIN");
  question.user = postern_text("postern-check@example.invalid");
  question.password = postern_text("postern-check");
  question.client = postern_text("127.0.0.1:1");
  return question;
}

absl::Status status_of(const Lookup& lookup) {
  const auto* failure = std::get_if<SourceFailure>(&lookup);
  return failure != nullptr ? absl::UnavailableError(failure->text + ".") : absl::OkStatus();
}

void Source::set_rules(SourceRules rules) {
  rules_ = std::move(rules);
  if (is_local()) rules_.turnstile.connections = connections_unbounded;
  turnstile_.set_options(rules_.turnstile);
}

bool Source::takes(const Asked& asked) const {
  const auto matches = [&](const std::string& pattern) { return matches_pattern(pattern, asked.user); };
  const auto& protocols = rules_.protocols;
  if (!rules_.users.empty() && std::none_of(rules_.users.begin(), rules_.users.end(), matches)) return false;
  if (!protocols.empty() &&
      std::find(protocols.begin(), protocols.end(), view(asked.question.protocol)) == protocols.end()) {
    return false;
  }
  return can_judge(asked);
}

bool Source::can_judge(const Asked& asked) const {
  if (asked.needs_hash) return keeps_hashes();
  return asked.question.token.data != nullptr ? takes_tokens() : takes_passwords();
}

Lookup Source::ask(const Asked& asked) {
  if (const char* why = turnstile_.enter(); *why != '\0') return SourceFailure{why};
  const Instant began = std::chrono::steady_clock::now();
  Lookup lookup = find(asked);
  turnstile_.done(result_of(lookup), std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began));
  const auto complete = [&](Entry& entry) {
    entry.route.fill_from(rules_.defaults);
    if (!entry.has_hash && rules_.check_at_back) entry.check_at_back = true;
    const std::string_view hash = entry.hash.reveal();
    const bool says_scheme =
        hash.empty() || hash.front() == '{' || hash.front() == '$' || hash.front() == '!' || hash.front() == '*';
    if (!says_scheme && !rules_.default_scheme.empty()) {
      std::string whole;
      whole.reserve(rules_.default_scheme.size() + hash.size());
      entry.hash = Secret::take(whole.append(rules_.default_scheme).append(hash));
    }
  };
  if (auto* entries = std::get_if<Entries>(&lookup)) std::for_each(entries->begin(), entries->end(), complete);
  if (auto* admitted = std::get_if<Admitted>(&lookup)) complete(admitted->entry);
  return lookup;
}

}  // namespace postern::helper
