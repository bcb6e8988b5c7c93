// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/guessing.h"

#include <algorithm>
#include <utility>

#include "config/words.h"

namespace postern::helper {
namespace {

// What fail2ban reads: the fields that are ours come first, so that no name of a user can look like them.
LogLine line_of(Severity severity, const char* event, const Attempt& attempt, std::string_view reason) {
  LogLine line(severity, event);
  line.add("client", attempt.client ? attempt.client->address_text() : "");
  line.add("protocol", attempt.protocol).add("reason", reason);
  return line;
}

void finish(LogLine& line, const Attempt& attempt) {
  line.add("user", attempt.user);
  if (!attempt.session.empty()) line.add("session", attempt.session);
}

std::string_view reason_word(Outcome outcome, bool repeated) {
  // Bans are for those who try one after the other.
  if (repeated) return "repeated";
  return outcome == Outcome::UnknownUser ? "user" : "password";
}

}  // namespace

Guessing::Guessing(GuessingOptions options, Clock clock, LogSink log)
    : options_(std::move(options)),
      clock_(std::move(clock)),
      log_(std::move(log)),
      memory_(options_.digest_key.empty() ? new Memory{DigestKey(), {}}
                                          : new Memory{DigestKey(options_.digest_key), {}}) {
  if (!options_.shared.empty()) store_ = std::make_unique<SharedStore>(options_, log_);
  if (!options_.policy_url.empty()) policy_ = std::make_unique<PolicyServer>(options_, log_);
}

Guessing::Guessing(GuessingOptions options, const Guessing& before)
    : options_(std::move(options)), clock_(before.clock_), log_(before.log_), memory_(before.memory_) {
  if (!options_.shared.empty()) store_ = std::make_unique<SharedStore>(options_, log_);
  if (!options_.policy_url.empty()) policy_ = std::make_unique<PolicyServer>(options_, log_);
}

Judgement Guessing::before(const Attempt& attempt) {
  if (is_free(attempt)) return Go{};
  const Instant now = clock_();
  const Subject subject = subject_of(attempt);
  std::optional<Counts> counts = store_ ? store_->look(subject, now) : std::nullopt;
  if (!counts) counts = memory_->tally.look(subject, options_, now);
  Judgement judgement = judge(*counts, options_);
  if (policy_ && attempt.client && std::holds_alternative<Go>(judgement)) {
    const Judgement theirs = policy_->allow(policy_question(attempt), now);
    if (const Go* go = std::get_if<Go>(&theirs)) {
      Duration& delay = std::get<Go>(judgement).delay;
      delay = std::max(delay, go->delay);
    } else {
      judgement = theirs;
      policy_->report({policy_question(attempt), false, true}, now);
    }
  }
  if (const Blocked* blocked = std::get_if<Blocked>(&judgement)) log_blocked(attempt, *blocked);
  return judgement;
}

void Guessing::after(const Attempt& attempt, Outcome outcome) {
  if (outcome == Outcome::NoVerdict || is_free(attempt)) return;
  const Instant now = clock_();
  const Subject subject = subject_of(attempt);
  if (outcome == Outcome::Right) {
    memory_->tally.succeed(subject, options_, now);
    if (store_) store_->succeed(subject, now);
  } else {
    log_guess(attempt, outcome, count(attempt, subject, now));
  }
  if (policy_ && attempt.client) {
    policy_->report({policy_question(attempt), outcome == Outcome::Right, false}, now);
  }
}

bool Guessing::is_free(const Attempt& attempt) const {
  return attempt.client && any_contains(options_.allow_nets, *attempt.client);
}

Subject Guessing::subject_of(const Attempt& attempt) const {
  Subject subject;
  subject.user = attempt.user;
  subject.id = memory_->key.user(attempt.user);
  if (attempt.client) subject.network = Subnet::of(*attempt.client);
  return subject;
}

PolicyQuestion Guessing::policy_question(const Attempt& attempt) const {
  return {attempt.user, attempt.client->address_text(), attempt.protocol, short_digest(attempt.digest), attempt.tls};
}

// This process counts too where another one's counts hold: it goes on with them when the store is away.
Counts Guessing::count(const Attempt& attempt, const Subject& subject, Instant now) {
  const Counts own = memory_->tally.count(subject, attempt.digest, options_, now);
  const std::optional<Counts> shared = store_ ? store_->count(subject, attempt.digest, now) : std::nullopt;
  return shared ? *shared : own;
}

void Guessing::log_guess(const Attempt& attempt, Outcome outcome, const Counts& counts) {
  // Of the user from there, or where the gate does not say from where, of the user.
  const Counter counter = attempt.client ? Counter::UserAtNetwork : Counter::User;
  LogLine line = line_of(Severity::Info, "guess", attempt, reason_word(outcome, counts.repeated));
  // A block begins with its last guess, and counts from nothing.
  line.add("count", uint64_t{counts.begun == counter ? limit_of(counter, options_) : counts.of(counter).distinct});
  finish(line, attempt);
  log_(line);
  if (!counts.begun) return;
  LogLine begun = line_of(Severity::Notice, "block", attempt, counter_word(*counts.begun));
  begun.add("for", config::duration_text(static_cast<uint64_t>(options_.block_for.count())));
  finish(begun, attempt);
  log_(begun);
}

void Guessing::log_blocked(const Attempt& attempt, const Blocked& blocked) {
  LogLine line = line_of(Severity::Info, "blocked", attempt, counter_word(blocked.counter));
  // In seconds, rounded up.
  line.add("left", uint64_t{static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(blocked.left).count())});
  finish(line, attempt);
  log_(line);
}

}  // namespace postern::helper
