// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/dovecot_source.h"

#include <algorithm>
#include <utility>

#include "helper/sources/token_claims.h"

namespace postern::helper {
DovecotOptions read_dovecot(TableReader& reader, SourceRules& rules) {
  DovecotOptions options;
  reader.path("socket", options.socket, socket_path_max);
  reader.text("service", options.service);
  if (rules.only_route)
    reader.wrong(*reader.take("role"), "role", "is \"route\"; Dovecot is only asked with a password");
  return options;
}

DovecotSource::DovecotSource(DovecotOptions options)
    : options_(std::move(options)), name_("dovecot:" + options_.socket), link_(options_.socket) {}

Lookup DovecotSource::find(const Asked& asked) {
  const Instant deadline = std::chrono::steady_clock::now() + rules().turnstile.timeout;
  const bool has_token = asked.question.token.data != nullptr;
  // Dovecot's PLAIN ends a password there, so that the rest would not count.
  if (!has_token && view(asked.question.password).find('\0') != std::string_view::npos)
    return refuse(POSTERN_REASON_CREDENTIALS, "a NUL in the password");
  if (has_token && !can_be_token(view(asked.question.token)))
    return refuse(POSTERN_REASON_CREDENTIALS, "the token has bytes that no token has");
  const absl::StatusOr<std::vector<std::string>> offered = link_.mechanisms(deadline);
  if (!offered.ok()) return SourceFailure{std::string(offered.status().message())};
  const auto offers = [&](std::string_view word) {
    return std::find(offered->begin(), offered->end(), word) != offered->end();
  };
  may_take_tokens_ = offers("OAUTHBEARER") || offers("XOAUTH2");
  if (has_token && !may_take_tokens_) return UnknownUser{};
  const std::string_view mechanism = !has_token ? "PLAIN" : offers("OAUTHBEARER") ? "OAUTHBEARER" : "XOAUTH2";
  if (!offers(mechanism)) return SourceFailure{"Dovecot's auth_mechanisms lack plain"};
  if (dovecot_question(UINT32_MAX, mechanism, asked, options_.service).size() > dovecot_line_max) {
    if (has_token) return SourceFailure{"the token is longer than Dovecot takes"};
    return refuse(POSTERN_REASON_CREDENTIALS, "the password is longer than Dovecot takes");
  }
  const absl::StatusOr<DovecotAnswer> answer =
      link_.ask([&](uint32_t id) { return dovecot_question(id, mechanism, asked, options_.service); }, deadline);
  return answer.ok() ? lookup_of_dovecot(*answer, asked) : SourceFailure{std::string(answer.status().message())};
}

absl::Status DovecotSource::check() {
  postern_question question = question_of_nobody();
  question.tls = postern_text("TLSv1.3");
  return status_of(find(Asked(question, view(question.user))));
}

}  // namespace postern::helper
