// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/oauth2_source.h"

#include <time.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/secret_buffer.h"
#include "config/words.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

using std::chrono::steady_clock;

// Claims of a user with many groups have a few thousand bytes.
constexpr size_t answer_size_max = 64 * 1024;

// libcurl's own, so that `+` and `&` in a token stay what they are.
void append_encoded(CURL* curl, std::string_view text, SecretBuffer& form) {
  char* encoded = curl_easy_escape(curl, text.data(), static_cast<int>(text.size()));
  if (encoded == nullptr) return;
  const std::string_view view(encoded);
  form.append(view);
  wipe(encoded, view.size());
  curl_free(encoded);
}

void read_keys(TableReader& reader, KeyPlace& place) {
  std::string from;
  reader.text("jwks", from);
  if (from.empty()) return;
  if (from.starts_with('/')) {
    reader.path("jwks", place.file);
    return;
  }
  read_url(reader, "jwks", place.web.url);
  // Whoever could change them on the way would be every user.
  if (goes_in_clear(place.web))
    reader.wrong(*reader.take("jwks"), "jwks", "is fetched in clear from another machine; use https");
}

void read_algorithms(TableReader& reader, std::vector<std::string>& algorithms) {
  reader.texts("algorithms", algorithms);
  const std::span<const std::string_view> known = signature_algorithms();
  for (const std::string& algorithm : algorithms) {
    if (std::find(known.begin(), known.end(), algorithm) != known.end()) continue;
    std::vector<std::string> names(known.begin(), known.end());
    reader.wrong(*reader.take("algorithms"), "algorithms",
                 "has " + config::quoted(algorithm) + "; there are " + config::listed(names, "and"));
  }
}

}  // namespace

OAuth2Options read_oauth2(TableReader& reader, SourceRules& rules) {
  OAuth2Options options;
  read_url(reader, "introspection_url", options.introspection.url);
  reader.text("client_id", options.client_id);
  reader.secret("client_secret", options.client_secret);
  reader.secret_file("client_secret_file", options.client_secret);
  read_keys(reader, options.keys);
  read_algorithms(reader, options.algorithms);
  reader.path("tls_ca", options.introspection.tls_ca);
  options.keys.web.tls_ca = options.introspection.tls_ca;
  reader.text("issuer", options.rules.issuer);
  reader.texts("audience", options.rules.audiences);
  reader.texts("scope", options.rules.scopes);
  reader.text("username_attribute", options.rules.username_attribute);
  reader.truth("passwords", options.passwords);
  const bool introspects = reader.take("introspection_url") != nullptr;
  const config::Value* jwks = reader.take("jwks");
  options.rules.must_expire = !introspects;
  if (introspects && jwks != nullptr) {
    reader.wrong(*jwks, "jwks", "is there, and introspection_url too; keep one of them");
  } else if (!introspects && jwks == nullptr) {
    reader.missing("introspection_url",
                   "introspection_url = \"https://sso.example.test/introspect\", or jwks = "
                   "\"https://sso.example.test/certs\".");
  } else if (!introspects) {
    // A signature only says who made the token, and he makes tokens for others too.
    if (options.rules.issuer.empty()) reader.missing("issuer", "issuer = \"https://sso.example.test\"");
    if (options.rules.audiences.empty()) reader.missing("audience", "audience = \"mail\"");
  }
  if (rules.only_route) reader.wrong(*reader.take("role"), "role", "is \"route\"; a token says nothing about a route");
  return options;
}

OAuth2Source::OAuth2Source(OAuth2Options options)
    : options_(std::move(options)),
      name_("oauth2:" + (!options_.introspection.url.empty() ? options_.introspection.url
                         : !options_.keys.file.empty()       ? options_.keys.file
                                                             : options_.keys.web.url)),
      keys_(options_.keys) {}

Lookup OAuth2Source::find(const Asked& asked) {
  const bool has_token = asked.question.token.data != nullptr;
  const std::string_view token = view(has_token ? asked.question.token : asked.question.password);
  if (!can_be_token(token)) return refuse(POSTERN_REASON_CREDENTIALS, "this is no token");
  const absl::StatusOr<std::string> claims = options_.introspection.url.empty() ? verify(token) : introspect(token);
  if (absl::IsPermissionDenied(claims.status())) {
    return refuse(POSTERN_REASON_CREDENTIALS, std::string(claims.status().message()));
  }
  if (!claims.ok()) return SourceFailure{std::string(claims.status().message())};
  const absl::StatusOr<TokenUser> user = judge_claims(*claims, options_.rules, time(nullptr));
  if (user.ok()) return admit(asked, *user);
  // What is signed and no JSON object is not what we take it for; what an issuer answers is his failure.
  const bool is_failure = !absl::IsPermissionDenied(user.status()) && !options_.introspection.url.empty();
  if (is_failure) return SourceFailure{std::string(user.status().message())};
  return refuse(POSTERN_REASON_CREDENTIALS, std::string(user.status().message()));
}

// A token of Ann's lets in nobody who says that he is Joe, even if both are good names: the gate would open Joe's mailbox.
Lookup OAuth2Source::admit(const Asked& asked, const TokenUser& user) const {
  if (!asked.user.empty() && folded(user.name) != asked.user) {
    return refuse(POSTERN_REASON_NOT_ALLOWED, "the token is another user's");
  }
  Entry entry;
  entry.route.expires_s = user.expires_s;
  if (asked.user.empty()) {
    const std::string& pattern = rules().defaults.user;
    const std::string name = folded(user.name);
    entry.route.user = pattern.empty() ? name : expand_user(pattern, name);
  }
  return Admitted{std::move(entry)};
}

absl::StatusOr<std::string> OAuth2Source::introspect(std::string_view token) {
  CurlHandle curl = pool_.take();
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory for a question");
  SecretBuffer form, secret;
  form.append("token=");
  append_encoded(curl.get(), token, form);
  form.append("&token_type_hint=access_token");
  secret.append(options_.client_secret.reveal());
  secret.append('\0');
  CurlHeaders headers;
  headers.add("Accept", "application/json");
  CurlBody body{.bytes = {}, .size_max = answer_size_max};
  set_rules_of_house(curl.get(), rules().turnstile.timeout);
  set_web_place(curl.get(), options_.introspection);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.list());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(form.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, form.reveal().data());
  if (!options_.client_id.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl.get(), CURLOPT_USERNAME, options_.client_id.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PASSWORD, secret.reveal().data());
  }
  collect_body(curl.get(), body);
  const absl::StatusOr<long> status = answer_code(pool_, std::move(curl));
  if (!status.ok()) return status.status();
  if (*status == 401 || *status == 403) {
    return absl::UnavailableError("the issuer refuses us. Look at client_id and client_secret");
  }
  if (*status != 200)
    return absl::UnavailableError("the issuer answers " + std::to_string(*status) + ". Is this its introspection_url?");
  const absl::StatusOr<bool> active = is_active(body.bytes.reveal());
  if (!active.ok())
    return absl::UnavailableError(std::string(active.status().message()) + ". Is this its introspection_url?");
  if (!*active) return absl::PermissionDeniedError("the issuer says that the token is not active");
  return std::string(body.bytes.reveal());
}

absl::StatusOr<std::string> OAuth2Source::verify(std::string_view token) {
  const Instant deadline = steady_clock::now() + rules().turnstile.timeout;
  const absl::StatusOr<KeyRing::Keys> keys = keys_.keys(rules().turnstile.timeout);
  if (!keys.ok()) return absl::UnavailableError(std::string(keys.status().message()));
  absl::StatusOr<std::string> claims = (*keys)->verify(token, options_.algorithms);
  if (!absl::IsNotFound(claims.status())) return claims;
  const auto left = std::chrono::duration_cast<Duration>(deadline - steady_clock::now());
  const absl::StatusOr<KeyRing::Keys> newer = keys_.newer_keys(*keys, left);
  if (!newer.ok()) return absl::UnavailableError(std::string(newer.status().message()));
  claims = (*newer)->verify(token, options_.algorithms);
  return absl::IsNotFound(claims.status()) ? absl::PermissionDeniedError(std::string(claims.status().message()))
                                           : claims;
}

absl::Status OAuth2Source::check() {
  if (options_.introspection.url.empty()) {
    const absl::Status status = keys_.fetch(rules().turnstile.timeout).status();
    return status.ok() ? status : absl::UnavailableError(std::string(status.message()) + ".");
  }
  const absl::StatusOr<std::string> claims = introspect("postern-check");
  if (claims.ok()) return absl::FailedPreconditionError("the issuer calls a token active that nobody has made.");
  if (absl::IsPermissionDenied(claims.status())) return absl::OkStatus();
  return absl::UnavailableError(std::string(claims.status().message()) + ".");
}

std::vector<std::string> OAuth2Source::advice() const {
  if (options_.introspection.url.empty() || !goes_in_clear(options_.introspection)) return {};
  return {"tokens and client_secret go to " + url_host(options_.introspection.url) + " in clear. Use https."};
}

}  // namespace postern::helper
