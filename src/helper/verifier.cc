// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/verifier.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "base/endpoint.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

std::string_view view(postern_bytes bytes) {
  return {bytes.data, bytes.size};
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

bool may_come_from(const Route& route, std::string_view address) {
  if (route.allowed_nets.empty()) return true;
  const std::optional<Endpoint> client = Endpoint::parse(address, 1);
  return client && any_contains(route.allowed_nets, *client);
}

// What the mail server should hear: the source's name for the user, and else the one that the source has vouched for,
// where the mail program spelled it another way.
std::string name_at_back(const Route& route, const std::string& user, std::string_view spelled) {
  if (!route.user.empty()) return expand_user(route.user, user);
  return user == spelled ? "" : user;
}

}  // namespace

Verifier::Verifier(std::vector<std::unique_ptr<Source>> sources, const Passwords::Options& options)
    : sources_(std::move(sources)), passwords_(options) {}

Decision Verifier::verify(const postern_question& question) {
  if (question.password.data == nullptr) return unavailable("there is no password in the question");
  // Some mail servers take an empty password for an anonymous login: nobody's password is empty.
  if (question.password.size == 0) return reject(POSTERN_REASON_CREDENTIALS, "empty password");
  if (!is_user_name(view(question.user))) {
    passwords_.verify_nobody(view(question.password));
    return reject(POSTERN_REASON_CREDENTIALS, "no user name");
  }
  const std::string user = folded(view(question.user));
  std::optional<Decision> decision =
      ask_sources(user, [&](Source& source, Entry entry) { return judge(source, std::move(entry), question, user); });
  if (decision) return *std::move(decision);
  passwords_.verify_nobody(view(question.password));
  return reject(POSTERN_REASON_CREDENTIALS, "unknown user");
}

// From the first source that knows the user, or cannot say; nothing: nobody knows him.
std::optional<Decision> Verifier::ask_sources(const std::string& user,
                                              const std::function<Decision(Source&, Entry)>& judge) {
  for (const std::unique_ptr<Source>& source : sources_) {
    Lookup lookup = source->find(user);
    if (std::holds_alternative<UnknownUser>(lookup)) continue;
    Decision decision;
    if (auto* failure = std::get_if<SourceFailure>(&lookup)) {
      decision = unavailable(std::move(failure->text));
    } else {
      decision = judge(*source, std::get<Entry>(std::move(lookup)));
    }
    decision.source = source->name();
    return decision;
  }
  return std::nullopt;
}

// The password comes first: what else there is to say is for the user's own ears.
Decision Verifier::judge(Source& source, Entry entry, const postern_question& question, const std::string& user) {
  if (!entry.check_at_back) {
    Verification verification = passwords_.verify(entry.hash.reveal(), view(question.password));
    if (verification.match == Match::CannotSay) return unavailable(std::move(verification.fault));
    if (verification.match == Match::No) return reject(POSTERN_REASON_CREDENTIALS, "wrong password");
  }
  const Secret stored = entry.hash.clone();
  const bool verified = !entry.check_at_back;
  Decision decision = admit(std::move(entry), question, user);
  if (!verified || decision.result != POSTERN_OK) return decision;
  if (std::optional<Secret> fresh = passwords_.renewed(stored.reveal(), view(question.password))) {
    source.upgrade(user, stored, *std::move(fresh));
  }
  return decision;
}

Decision Verifier::keys(const postern_question& question) {
  if (!is_user_name(view(question.user))) return reject(POSTERN_REASON_CREDENTIALS, "no user name");
  const std::string user = folded(view(question.user));
  std::optional<Decision> decision = ask_sources(user, [&](Source&, Entry entry) {
    std::optional<ScramKeys> keys = Passwords::scram_keys(entry.hash.reveal());
    if (!keys) return reject(POSTERN_REASON_CREDENTIALS, "the password is not stored as {SCRAM-SHA-256}");
    Decision admitted = admit(std::move(entry), question, user);
    if (admitted.result == POSTERN_OK) admitted.scram = std::move(keys);
    return admitted;
  });
  return decision ? *std::move(decision) : reject(POSTERN_REASON_CREDENTIALS, "unknown user");
}

Decision Verifier::admit(Entry entry, const postern_question& question, const std::string& user) {
  if (entry.disabled) return reject(POSTERN_REASON_DISABLED, "disabled");
  const std::string_view authzid = view(question.authzid);
  if (!authzid.empty() && folded(authzid) != user) {
    return reject(POSTERN_REASON_NOT_ALLOWED, "another user's mailbox");
  }
  const bool vary_client = !entry.route.allowed_nets.empty();
  if (!may_come_from(entry.route, view(question.client))) {
    Decision decision = reject(POSTERN_REASON_NOT_ALLOWED, "not from this address");
    decision.vary_client = vary_client;
    return decision;
  }
  Decision decision;
  decision.result = POSTERN_OK;
  decision.route = std::move(entry.route);
  decision.route.user = name_at_back(decision.route, user, view(question.user));
  decision.check_at_back = entry.check_at_back;
  decision.vary_client = vary_client;
  return decision;
}

}  // namespace postern::helper
