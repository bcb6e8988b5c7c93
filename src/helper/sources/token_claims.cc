// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/token_claims.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "helper/names.h"

namespace postern::helper {
namespace {

using nlohmann::json;

// Clocks that agree to the second may still be a moment apart.
constexpr int64_t slack_s = 1;
// Beyond the year 30000; larger numbers have no exact form either.
constexpr double time_max_s = 1e12;

absl::Status refused(std::string why) {
  return absl::PermissionDeniedError(std::move(why));
}

absl::Status no_object() {
  return absl::InvalidArgumentError("the answer is no JSON object");
}

// A claim that is not there: nothing. One that is no time is one long ago, for `exp`, or never to come, for `nbf`.
std::optional<int64_t> time_in(const json& claims, const char* key, int64_t nonsense) {
  const auto found = claims.find(key);
  if (found == claims.end()) return std::nullopt;
  if (!found->is_number()) return nonsense;
  const auto seconds = found->get<double>();
  return seconds >= 0 && seconds <= time_max_s ? static_cast<int64_t>(seconds) : nonsense;
}

// The texts of a claim that is one text, or a list of them; `separator` cuts a text into several.
std::vector<std::string> texts_in(const json& claims, const char* key, std::optional<char> separator) {
  std::vector<std::string> texts;
  const auto found = claims.find(key);
  if (found == claims.end()) return texts;
  const json alone = json::array({*found});
  for (const json& item : found->is_array() ? *found : alone) {
    if (!item.is_string()) continue;
    std::string text = item.get<std::string>();
    for (size_t end = 0; separator && (end = text.find(*separator)) != std::string::npos;) {
      texts.push_back(text.substr(0, end));
      text.erase(0, end + 1);
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

absl::Status judge_origin(const json& claims, const TokenRules& rules) {
  if (!rules.issuer.empty() && texts_in(claims, "iss", std::nullopt) != std::vector<std::string>{rules.issuer}) {
    return refused("the token has another issuer");
  }
  const std::vector<std::string> audiences = texts_in(claims, "aud", std::nullopt);
  const bool is_ours = std::any_of(rules.audiences.begin(), rules.audiences.end(),
                                   [&](const std::string& audience) { return has(audiences, audience); });
  if (!rules.audiences.empty() && !is_ours) return refused("the token is meant for another audience");
  std::vector<std::string> scopes = texts_in(claims, "scope", ' ');
  for (std::string& scope : texts_in(claims, "scp", ' '))
    scopes.push_back(std::move(scope));
  for (const std::string& scope : rules.scopes) {
    if (!has(scopes, scope)) return refused("the token lacks the scope " + scope);
  }
  return absl::OkStatus();
}

}  // namespace

bool can_be_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

absl::StatusOr<TokenUser> judge_claims(std::string_view text, const TokenRules& rules, int64_t now_s) {
  const json claims = json::parse(text, nullptr, false);
  if (!claims.is_object()) return no_object();
  const std::optional<int64_t> expires = time_in(claims, "exp", 0);
  if (!expires && rules.must_expire) return refused("the token never expires");
  if (expires && *expires + slack_s <= now_s) return refused("the token has expired");
  const std::optional<int64_t> begins = time_in(claims, "nbf", INT64_MAX);
  if (begins && *begins > now_s + slack_s) return refused("the token is not valid yet");
  if (const absl::Status status = judge_origin(claims, rules); !status.ok()) return status;
  const auto user = claims.find(rules.username_attribute);
  if (user == claims.end() || !user->is_string() || !is_user_name(user->get_ref<const std::string&>())) {
    return refused("the token names no user in " + rules.username_attribute);
  }
  return TokenUser{user->get<std::string>(), expires ? *expires + slack_s : 0};
}

absl::StatusOr<bool> is_active(std::string_view text) {
  const json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return no_object();
  const auto active = answer.find("active");
  if (active == answer.end() || !active->is_boolean())
    return absl::InvalidArgumentError("the answer has no \"active\"");
  return active->get<bool>();
}

}  // namespace postern::helper
