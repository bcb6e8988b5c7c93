// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/verifier.h"

#include <time.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <variant>

#include "base/endpoint.h"

namespace postern::helper {
namespace {

// A gate remembers nobody for longer.
constexpr int64_t ttl_max_s = 7 * 24 * 3600;

// None: the source has said something else.
Entries entries_in(Lookup& lookup) {
  auto* entries = std::get_if<Entries>(&lookup);
  return entries != nullptr ? std::move(*entries) : Entries();
}

Decision reject(postern_reason reason, std::string why) {
  Decision decision;
  decision.result = POSTERN_REJECT;
  decision.reason = reason;
  decision.why = std::move(why);
  return decision;
}

Decision unavailable(std::string why) {
  Decision decision;
  decision.why = std::move(why);
  return decision;
}

bool varies_by_client(const Entry& entry) {
  return !entry.route.allowed_nets.empty() || !entry.limits.allowed_nets.empty();
}

// For somebody whose password is right: he may hear why it is of no use.
Decision keep_out(postern_reason reason, std::string why, const Entry& entry) {
  Decision decision = reject(reason, std::move(why));
  decision.text = entry.route.text;
  decision.code = entry.route.code;
  decision.vary_client = varies_by_client(entry);
  return decision;
}

bool may_come_from(const Route& route, std::string_view address) {
  if (route.allowed_nets.empty()) return true;
  const std::optional<Endpoint> client = Endpoint::parse(address, 1);
  return client && any_contains(route.allowed_nets, *client);
}

bool may_speak(const Route& route, std::string_view protocol) {
  const std::vector<std::string>& allowed = route.allowed_protocols;
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), protocol) != allowed.end();
}

// What the mail server should hear: the source's name for the user, and else the one that the source has vouched for,
// where the mail program spelled it another way.
std::string name_at_back(const Route& route, const std::string& user, std::string_view spelled) {
  if (!route.user.empty()) return expand_user(route.user, user);
  return spelled == user ? "" : user;
}

// Until a password is none any more; below 1: it is none.
int64_t seconds_left(const Route& route) {
  return route.expires_s == 0 ? INT64_MAX : route.expires_s - time(nullptr);
}

// What a source has come to, for `explain`.
std::string described(const Decision& decision) {
  const std::string what = decision.result == POSTERN_OK ? "yes" : decision.why;
  return decision.label.empty() ? what : what + ", by the password \"" + decision.label + "\"";
}

std::ptrdiff_t hashes_at_once() {
  return std::clamp<std::ptrdiff_t>(std::thread::hardware_concurrency(), 1, 1024);
}

}  // namespace

// A question on its way through the sources.
struct Verifier::Way {
  Asked asked;
  std::vector<Step>* steps = nullptr;
  std::string whose = asked.user;  // the mailbox
  Source* asked_last = nullptr;
  bool hashed = false;  // a password has been looked at, so it has cost its time

  const postern_question& question() const { return asked.question; }
  void note_name() {
    if (steps != nullptr && asked.user != view(question().user))
      steps->push_back({"name", "looked up as " + asked.user, {}});
  }
  void note(const Source& source, std::string what, Duration taken = {}) {
    if (steps != nullptr) steps->push_back({source.title(), std::move(what), taken});
  }
};

Verifier::Verifier(std::vector<std::unique_ptr<Source>> sources, const Passwords::Options& options, NameRules names)
    : sources_(std::move(sources)), passwords_(options), names_(std::move(names)), hashing_(hashes_at_once()) {}

Decision Verifier::verify(const postern_question& question, std::vector<Step>* steps) {
  if (view(question.mechanism) == "EXTERNAL") return external(question, steps);
  const bool has_token = question.token.data != nullptr;
  if (!has_token && question.password.data == nullptr) return unavailable("there is no password in the question");
  // Some servers take an empty password for an anonymous login: nobody's password is empty, and no token.
  if ((has_token ? question.token : question.password).size == 0) {
    return reject(POSTERN_REASON_CREDENTIALS, "empty password");
  }
  const std::optional<std::string> name = canonical_name(view(question.user), names_);
  // A token says itself whose it is.
  if (!name && !(has_token && question.user.size == 0)) return no_such_user(question, "no user name");
  Way way{Asked(question, name.value_or("")), steps};
  way.note_name();
  Decision decision = ask_chain(way, [this](Way& on, Lookup lookup) { return judge(on, std::move(lookup)); });
  if (decision.result == POSTERN_OK) return add_route(way, std::move(decision));
  if (decision.result == POSTERN_REJECT && !way.hashed && !has_token) hash_for_nobody(question);
  return decision;
}

// The gate has verified the certificate; whose it is says its address, or else its common name.
Decision Verifier::external(const postern_question& question, std::vector<Step>* steps) {
  postern_bytes whose = postern_question_get(&question, "email");
  if (whose.size == 0) whose = postern_question_get(&question, "common_name");
  const std::optional<std::string> name = canonical_name(view(whose), names_);
  if (!name) return reject(POSTERN_REASON_CREDENTIALS, "the certificate names nobody");
  const std::string_view wanted = view(question.user);
  if (!wanted.empty() && canonical_name(wanted, names_) != name) {
    return reject(POSTERN_REASON_NOT_ALLOWED, "the certificate is another user's");
  }
  return route_of(question, *name, steps);
}

Decision Verifier::keys(const postern_question& question) {
  const std::optional<std::string> name = canonical_name(view(question.user), names_);
  if (!name) return reject(POSTERN_REASON_CREDENTIALS, "no user name");
  Way way{Asked(question, *name)};
  way.asked.needs_hash = true;
  Decision decision = ask_chain(way, [this](Way& on, Lookup lookup) { return judge_keys(on, entries_in(lookup)); });
  return decision.result == POSTERN_OK ? add_route(way, std::move(decision)) : std::move(decision);
}

Decision Verifier::route(const postern_question& question, std::vector<Step>* steps) {
  const std::optional<std::string> name = canonical_name(view(question.user), names_);
  return name ? route_of(question, *name, steps) : reject(POSTERN_REASON_CREDENTIALS, "no user name");
}

Decision Verifier::route_of(const postern_question& question, const std::string& name, std::vector<Step>* steps) {
  Way way{Asked(question, name), steps};
  way.note_name();
  way.asked.needs_hash = true;
  Decision decision = ask_chain(way, [this](Way& on, Lookup lookup) { return admit_known(on, entries_in(lookup)); });
  return decision.result == POSTERN_OK ? add_route(way, std::move(decision)) : std::move(decision);
}

Decision Verifier::no_such_user(const postern_question& question, std::string why) {
  hash_for_nobody(question);
  return reject(POSTERN_REASON_CREDENTIALS, std::move(why));
}

// One of yescrypt takes 16 MiB, so these are counted with the others.
void Verifier::hash_for_nobody(const postern_question& question) {
  hashing_.acquire();
  passwords_.verify_nobody(view(question.password));
  hashing_.release();
}

// The first yes, else what weighs most of all that was said: a failure more than a no, and a no more than silence.
Decision Verifier::ask_chain(Way& way, const Judge& judge) {
  Decision last = reject(POSTERN_REASON_CREDENTIALS, "unknown user");
  const bool is_for_us = std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) {
    return !source->rules().only_route && source->can_judge(way.asked);
  });
  if (!is_for_us && !way.asked.needs_hash) return unavailable("no source verifies this: passwords or tokens");
  for (const std::unique_ptr<Source>& source : sources_) {
    if (source->rules().only_route) continue;
    if (!source->takes(way.asked)) {
      way.note(*source, source->can_judge(way.asked) ? "not asked: its users or protocols are others"
                                                     : "not asked: it cannot judge a login of this kind");
      continue;
    }
    const Instant began = std::chrono::steady_clock::now();
    way.asked_last = source.get();
    Lookup lookup = source->ask(way.asked);
    const bool is_unknown = std::holds_alternative<UnknownUser>(lookup);
    Decision decision;
    if (is_unknown) {
      decision = reject(POSTERN_REASON_CREDENTIALS, "unknown user");
    } else if (auto* failure = std::get_if<SourceFailure>(&lookup)) {
      decision = unavailable(std::move(failure->text));
    } else {
      decision = judge(way, std::move(lookup));
    }
    way.note(*source, described(decision),
             std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began));
    if (!is_unknown) decision.source = source->title();
    if (decision.result == POSTERN_OK) return decision;
    const SourceRules& rules = source->rules();
    const bool failed = decision.result == POSTERN_UNAVAILABLE;
    const SourceRules::Then then = failed ? rules.on_failure : is_unknown ? rules.on_unknown : rules.on_mismatch;
    if (last.result == POSTERN_REJECT && (failed || last.source.empty())) last = std::move(decision);
    if (then == SourceRules::Then::Stop) break;
  }
  return last;
}

Decision Verifier::judge(Way& way, Lookup lookup) {
  if (auto* admitted = std::get_if<Admitted>(&lookup)) return admit(way, std::move(admitted->entry));
  if (auto* entries = std::get_if<Entries>(&lookup)) return judge_entries(way, std::move(*entries));
  auto& refused = std::get<Refused>(lookup);
  Decision decision = reject(refused.reason, std::move(refused.why));
  decision.text = std::move(refused.text);
  decision.code = std::move(refused.code);
  decision.delay = refused.delay;
  return decision;
}

// The password comes first: what else there is to say is for the user's own ears. Of several right ones, one that may be
// used here counts.
Decision Verifier::judge_entries(Way& way, Entries entries) {
  Decision last = reject(POSTERN_REASON_CREDENTIALS, "wrong password");
  for (size_t i = 0; i < std::min(entries.size(), entries_max); ++i) {
    Entry& entry = entries[i];
    if (!entry.check_at_back) {
      if (!entry.has_hash)
        return unavailable(
            "the source keeps no password of this user; set check = \"back\" where the "
            "mail server verifies, or role = \"route\"");
      way.hashed = true;
      Verification verification = compare(entry, view(way.question().password));
      if (verification.match == Match::CannotSay) return unavailable(std::move(verification.fault));
      if (verification.match == Match::No) continue;
    }
    const Secret stored = entry.hash.clone();
    const bool verified = !entry.check_at_back;
    std::string label = entry.label;
    Decision decision = admit(way, std::move(entry));
    decision.label = std::move(label);
    if (decision.result == POSTERN_OK) {
      if (verified) renew(way, stored);
      return decision;
    }
    last = std::move(decision);
  }
  return last;
}

// Where a better hash of the password that was typed is wanted and can be kept. Who only asks what would happen, step by
// step, changes nothing.
void Verifier::renew(Way& way, const Secret& stored) {
  if (way.steps != nullptr) return;
  hashing_.acquire();
  std::optional<Secret> fresh = passwords_.renewed(stored.reveal(), view(way.question().password));
  hashing_.release();
  if (fresh) way.asked_last->upgrade(way.asked.user, stored, *std::move(fresh));
}

Decision Verifier::judge_keys(Way& way, Entries entries) {
  for (Entry& entry : entries) {
    std::optional<ScramKeys> keys = Passwords::scram_keys(entry.hash.reveal());
    if (!keys) continue;
    Decision admitted = admit(way, std::move(entry));
    if (admitted.result == POSTERN_OK) admitted.scram = std::move(keys);
    return admitted;
  }
  return reject(POSTERN_REASON_CREDENTIALS, "the password is not stored as {SCRAM-SHA-256}");
}

Verification Verifier::compare(const Entry& entry, std::string_view password) {
  hashing_.acquire();
  Verification verification = passwords_.verify(entry.hash.reveal(), password);
  hashing_.release();
  return verification;
}

// Of a user whom nobody asks for a password.
Decision Verifier::admit_known(Way& way, Entries entries) {
  if (entries.empty()) return unavailable("the source cannot say anything about a user without his password");
  return admit(way, std::move(entries.front()));
}

Decision Verifier::admit(Way& way, Entry entry) {
  const postern_question& question = way.question();
  const Route& route = entry.route;
  if (entry.disabled) return keep_out(POSTERN_REASON_DISABLED, "disabled", entry);
  // A password that is over is none. Its owner made it to end, and whoever has it now learns nothing.
  const int64_t left_s = std::min(seconds_left(route), seconds_left(entry.limits));
  if (left_s <= 0) return reject(POSTERN_REASON_CREDENTIALS, "this password has expired");
  const std::string_view client = view(question.client);
  if (!may_come_from(route, client) || !may_come_from(entry.limits, client)) {
    return keep_out(POSTERN_REASON_NOT_ALLOWED, "not from this address", entry);
  }
  const std::string_view protocol = view(question.protocol);
  if (!may_speak(route, protocol) || !may_speak(entry.limits, protocol)) {
    return keep_out(POSTERN_REASON_NOT_ALLOWED, "not by this protocol", entry);
  }
  const std::string_view authzid = view(question.authzid);
  if (!authzid.empty() && folded(authzid) != way.asked.user) {
    if (route.master == POSTERN_YES) return admit_master(way, std::move(entry));
    return reject(POSTERN_REASON_NOT_ALLOWED, "another user's mailbox");
  }
  Decision decision;
  decision.result = POSTERN_OK;
  decision.vary_client = varies_by_client(entry);
  decision.route = std::move(entry.route);
  if (left_s < ttl_max_s) {
    const auto left = static_cast<uint32_t>(left_s);
    decision.route.ttl_s = decision.route.ttl_s == 0 ? left : std::min(decision.route.ttl_s, left);
  }
  decision.check_at_back = entry.check_at_back;
  return decision;
}

// He goes where that mailbox is, and logs in as himself on behalf of its owner, unless the owner's route says how.
Decision Verifier::admit_master(Way& way, Entry entry) {
  const postern_question& question = way.question();
  const std::optional<std::string> owner = canonical_name(view(question.authzid), names_);
  if (!owner || entry.check_at_back) return reject(POSTERN_REASON_NOT_ALLOWED, "no such mailbox");
  postern_question of_owner = question;
  of_owner.authzid = {nullptr, 0};
  Way to_owner{Asked(of_owner, *owner), way.steps};
  to_owner.asked.needs_hash = true;
  Decision decision =
      ask_chain(to_owner, [this](Way& on, Lookup lookup) { return admit_known(on, entries_in(lookup)); });
  if (decision.result == POSTERN_REJECT) return reject(POSTERN_REASON_NOT_ALLOWED, "that mailbox: " + decision.why);
  if (decision.result != POSTERN_OK) return decision;
  way.whose = *owner;
  if (decision.route.password.empty() && decision.route.master_user.empty()) {
    decision.route.master_user = way.asked.user;
    decision.route.master_password = Secret(view(question.password));
  }
  decision.vary_client = decision.vary_client || varies_by_client(entry);
  return decision;
}

Decision Verifier::add_route(Way& way, Decision decision) {
  Asked asked(way.question(), way.whose);
  asked.needs_hash = true;
  for (const std::unique_ptr<Source>& source : sources_) {
    if (!source->rules().only_route || !source->takes(asked)) continue;
    const Instant began = std::chrono::steady_clock::now();
    Lookup lookup = source->ask(asked);
    const auto taken = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began);
    if (auto* failure = std::get_if<SourceFailure>(&lookup)) {
      way.note(*source, failure->text, taken);
      Decision failed = unavailable(std::move(failure->text));
      failed.source = source->title();
      return failed;
    }
    auto* entries = std::get_if<Entries>(&lookup);
    way.note(*source, entries != nullptr ? "says where" : "unknown user", taken);
    if (entries == nullptr) continue;
    Entry& entry = entries->front();
    if (entry.disabled) return keep_out(POSTERN_REASON_DISABLED, "disabled", entry);
    entry.route.fill_from(decision.route);
    decision.route = std::move(entry.route);
    break;
  }
  decision.route.backs = backs_for(decision.route, way.whose);
  decision.route.hashed_backs.clear();
  decision.route.user = name_at_back(decision.route, way.whose, view(way.question().user));
  return decision;
}

}  // namespace postern::helper
