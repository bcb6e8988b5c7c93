// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/dovecot_fields.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/endpoint.h"

namespace postern::helper {
namespace {

// Extra fields of Dovecot that change neither who gets in nor where to.
constexpr std::string_view harmless[] = {"proxy",
                                         "proxy_maybe",
                                         "proxy_timeout",
                                         "proxy_nopipelining",
                                         "proxy_not_trusted",
                                         "proxy_no_multiplex",
                                         "proxy_refresh",
                                         "proxy_always",
                                         "nodelay",
                                         "reason",
                                         "code"};
constexpr std::string_view harmless_prefixes[] = {"userdb_", "forward_", "event_", "proxy_host_", "proxy_redirect_"};

bool is_harmless(std::string_view key) {
  return std::find(std::begin(harmless), std::end(harmless), key) != std::end(harmless) ||
         std::any_of(std::begin(harmless_prefixes), std::end(harmless_prefixes),
                     [&](std::string_view prefix) { return key.starts_with(prefix); });
}

// Dovecot's other words for attributes of ours.
struct Synonym {
  std::string_view key, attribute;
};
constexpr Synonym synonyms[] = {{"master", "master_user"}, {"proxy_mech", "mechanism"}};

std::string broken(std::string_view key, std::string_view what) {
  return "the extra field " + std::string(key) + " " + std::string(what);
}

}  // namespace

bool DovecotFields::keep(std::string_view key, std::string_view value) {
  const std::pair<std::string_view, std::string_view*> places[] = {{"host", &host_},         {"hostip", &hostip_},
                                                                   {"port", &port_},         {"user", &user_},
                                                                   {"destuser", &destuser_}, {"pass", &pass_}};
  for (const auto& [word, place] : places) {
    if (word != key) continue;
    *place = value;
    return true;
  }
  return false;
}

absl::Status DovecotFields::take(std::string_view key, std::string_view value, Entry& entry) {
  if (keep(key, value) || is_harmless(key)) return absl::OkStatus();
  if (key == "disabled" || key == "nologin") {
    entry.disabled = value != "no";
    return absl::OkStatus();
  }
  if (key == "ssl" || key == "starttls") {
    // any-cert, "do not look at the certificate", is more than a gate should promise: it looks.
    if (value != "no") entry.route.tls = key == "ssl" ? POSTERN_TLS_IMPLICIT : POSTERN_TLS_STARTTLS;
    return absl::OkStatus();
  }
  for (const Synonym& synonym : synonyms) {
    if (synonym.key == key) key = synonym.attribute;
  }
  const absl::Status status = set_attribute(entry.route, key, value);
  if (absl::IsNotFound(status)) return absl::NotFoundError(broken(key, "is not known"));
  return status.ok() ? status : absl::InvalidArgumentError(broken(key, std::string(status.message())));
}

absl::Status DovecotFields::finish(Route& route) const {
  // `hostip` is the address of a `host` that is a name.
  std::string back(!hostip_.empty() ? hostip_ : host_);
  if (!back.empty()) {
    if (!port_.empty()) {
      const std::optional<Endpoint> bare = Endpoint::parse(back, 1);
      back = (bare && bare->v6 ? "[" + bare->address_text() + "]" : back) + ":" + std::string(port_);
    }
    if (!set_attribute(route, "back", back).ok()) {
      return absl::InvalidArgumentError(broken("host", "or hostip or port is no address"));
    }
  }
  const std::string_view user = !destuser_.empty() ? destuser_ : user_;
  if (!user.empty() && !set_attribute(route, "back_user", user).ok()) {
    return absl::InvalidArgumentError(broken("destuser", "is no name"));
  }
  if (pass_.empty()) return absl::OkStatus();
  return set_attribute(route, route.master_user.empty() ? "back_password" : "master_password", pass_);
}

}  // namespace postern::helper
