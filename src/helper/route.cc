// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/route.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace postern::helper {
namespace {

// More addresses than a user could wait for, more networks than anybody keeps by hand.
constexpr size_t list_size_max = 32;
constexpr size_t text_size_max = 1024;

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

// The next item of a list with commas, without blanks around it.
std::string_view next_item(std::string_view& list) {
  std::string_view item = list.substr(0, list.find(','));
  list.remove_prefix(std::min(list.size(), item.size() + 1));
  while (item.starts_with(' '))
    item.remove_prefix(1);
  while (item.ends_with(' '))
    item.remove_suffix(1);
  return item;
}

// The address in one spelling; empty if it is none. Without a port the gate takes the protocol's own.
std::string plain_back(std::string_view text) {
  if (const std::optional<Endpoint> whole = Endpoint::parse(text)) return whole->text();
  const std::optional<Endpoint> bare = Endpoint::parse(text, 1);
  if (!bare) return "";
  return bare->v6 ? "[" + bare->address_text() + "]" : bare->address_text();
}

absl::Status no_address() {
  return wrong(
      "is no address with a port. Write IPv4 as 192.0.2.10:143 and IPv6 as [2001:db8::10]:143; names are "
      "not looked up");
}

template <std::vector<std::string> Route::*field>
absl::Status set_backs(Route& route, std::string_view value) {
  std::vector<std::string> backs;
  while (!value.empty()) {
    backs.push_back(plain_back(next_item(value)));
    if (backs.back().empty()) return no_address();
  }
  if (backs.size() > list_size_max) return wrong("has more than " + std::to_string(list_size_max) + " addresses");
  route.*field = std::move(backs);
  return absl::OkStatus();
}

absl::Status set_moving_to(Route& route, std::string_view value) {
  std::string back = plain_back(value);
  if (back.empty() && !value.empty()) return no_address();
  route.moving_to = std::move(back);
  return absl::OkStatus();
}

absl::Status set_protocols(Route& route, std::string_view value) {
  std::vector<std::string> protocols;
  while (!value.empty()) {
    const std::string_view item = next_item(value);
    if (!is_protocol(item)) {
      return wrong("is no protocol. There are imap, pop3, submission and sieve");
    }
    protocols.emplace_back(item);
  }
  route.allowed_protocols = std::move(protocols);
  return absl::OkStatus();
}

absl::Status set_expiry(Route& route, std::string_view value) {
  route.expires_s = 0;
  if (value.empty()) return absl::OkStatus();
  // What SQL prints of a timestamp, and what RFC 3339 says, in UTC.
  for (const char* format : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"}) {
    absl::Time time;
    if (!absl::ParseTime(format, absl::string_view(value.data(), value.size()), &time, nullptr)) continue;
    route.expires_s = absl::ToUnixSeconds(time);
    return absl::OkStatus();
  }
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), route.expires_s);
  if (error == std::errc() && end == value.data() + value.size() && route.expires_s >= 0) return absl::OkStatus();
  route.expires_s = 0;
  return wrong("is no time. Write 2026-12-31, 2026-12-31 18:00:00 (UTC), or seconds since 1970");
}

std::string expiry_text(const Route& route) {
  return route.expires_s == 0
             ? ""
             : absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(route.expires_s), absl::UTCTimeZone());
}

absl::Status set_nets(Route& route, std::string_view value) {
  std::vector<Network> nets;
  while (!value.empty()) {
    const std::optional<Network> net = Network::parse(next_item(value));
    if (!net) return wrong("is no network. Write an address and the number of its leading bits, such as 10.0.0.0/8");
    nets.push_back(*net);
  }
  if (nets.size() > list_size_max) return wrong("has more than " + std::to_string(list_size_max) + " networks");
  route.allowed_nets = std::move(nets);
  return absl::OkStatus();
}

std::string nets_text(const Route& route) {
  std::string text;
  for (const Network& net : route.allowed_nets) {
    text += (text.empty() ? "" : ",") + net.base.address_text() + "/" + std::to_string(net.prefix_bits);
  }
  return text;
}

template <std::vector<std::string> Route::*field>
std::string list_text(const Route& route) {
  return absl::StrJoin(route.*field, ",");
}

// A name goes into lines of mail protocols sooner or later.
template <std::string Route::*field>
absl::Status set_text(Route& route, std::string_view value) {
  if (value.size() > text_size_max) return wrong("is longer than " + std::to_string(text_size_max) + " bytes");
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return wrong("holds a control character");
  }
  route.*field = std::string(value);
  return absl::OkStatus();
}
template <std::string Route::*field>
std::string text_of(const Route& route) {
  return route.*field;
}

template <Secret Route::*field>
absl::Status set_secret(Route& route, std::string_view value) {
  if (value.size() > text_size_max) return wrong("is longer than " + std::to_string(text_size_max) + " bytes");
  route.*field = Secret(value);
  return absl::OkStatus();
}
template <Secret Route::*field>
std::string secret_of(const Route& route) {
  return std::string((route.*field).reveal());
}

template <uint32_t Route::*field, uint32_t max>
absl::Status set_number(Route& route, std::string_view value) {
  uint32_t number = 0;
  if (!value.empty()) {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number == 0 || number > max) {
      return wrong("is no whole number from 1 to " + std::to_string(max));
    }
  }
  route.*field = number;
  return absl::OkStatus();
}
template <uint32_t Route::*field>
std::string number_of(const Route& route) {
  return route.*field == 0 ? "" : std::to_string(route.*field);
}

constexpr std::pair<std::string_view, postern_back_tls> tls_words[] = {
    {"", POSTERN_TLS_UNSAID},
    {"none", POSTERN_TLS_NONE},
    {"starttls", POSTERN_TLS_STARTTLS},
    {"implicit", POSTERN_TLS_IMPLICIT},
};

constexpr std::pair<std::string_view, postern_choice> choice_words[] = {
    {"", POSTERN_UNSAID},
    {"no", POSTERN_NO},
    {"yes", POSTERN_YES},
    // What databases and directories make of truths; the words for people come first.
    {"0", POSTERN_NO},
    {"f", POSTERN_NO},
    {"false", POSTERN_NO},
    {"FALSE", POSTERN_NO},
    {"1", POSTERN_YES},
    {"t", POSTERN_YES},
    {"true", POSTERN_YES},
    {"TRUE", POSTERN_YES}};

constexpr std::pair<std::string_view, uint32_t> proxy_words[] = {{"", 0}, {"v1", 1}, {"v2", 2}};

template <auto field, const auto& words>
std::string word_of(const Route& route) {
  for (const auto& [word, meaning] : words) {
    if (meaning == route.*field) return std::string(word);
  }
  return "";
}

template <auto field, typename Value>
Route with(Value value) {
  Route route;
  route.*field = value;
  return route;
}

template <auto field, const auto& words>
absl::Status set_word(Route& route, std::string_view value) {
  for (const auto& [word, meaning] : words) {
    if (word != value) continue;
    route.*field = meaning;
    return absl::OkStatus();
  }
  std::string known;
  for (const auto& [word, meaning] : words) {
    if (!word.empty() && word_of<field, words>(with<field>(meaning)) == word)
      known += (known.empty() ? "" : ", ") + std::string(word);
  }
  return wrong("is none of " + known);
}
absl::Status set_mechanism(Route& route, std::string_view value) {
  if (!value.empty() && value != "LOGIN" && value != "PLAIN") return wrong("is none of LOGIN, PLAIN");
  route.mechanism = std::string(value);
  return absl::OkStatus();
}

struct Row {
  RouteAttribute attribute;
  absl::Status (*set)(Route&, std::string_view);
  std::string (*text)(const Route&);
};

constexpr Row rows[] = {
    {{"back", "ADDRESS:PORT[,...]"}, set_backs<&Route::backs>, list_text<&Route::backs>},
    {{"back_by_hash", "ADDRESS:PORT,..."}, set_backs<&Route::hashed_backs>, list_text<&Route::hashed_backs>},
    {{"pool", "NAME"}, set_text<&Route::pool>, text_of<&Route::pool>},
    {{"moving_to", "ADDRESS:PORT"}, set_moving_to, text_of<&Route::moving_to>},
    {{"moving_to_tls_name", "NAME"}, set_text<&Route::moving_to_tls_name>, text_of<&Route::moving_to_tls_name>},
    {{"back_user", "NAME"}, set_text<&Route::user>, text_of<&Route::user>},
    {{"back_password", "PASSWORD", true}, set_secret<&Route::password>, secret_of<&Route::password>},
    {{"master_user", "NAME"}, set_text<&Route::master_user>, text_of<&Route::master_user>},
    {{"master_password", "PASSWORD", true}, set_secret<&Route::master_password>, secret_of<&Route::master_password>},
    {{"tls", "none|starttls|implicit"}, set_word<&Route::tls, tls_words>, word_of<&Route::tls, tls_words>},
    {{"tls_name", "NAME"}, set_text<&Route::tls_name>, text_of<&Route::tls_name>},
    {{"mechanism", "LOGIN|PLAIN"}, set_mechanism, text_of<&Route::mechanism>},
    {{"proxy_protocol", "v1|v2"},
     set_word<&Route::proxy_protocol, proxy_words>,
     word_of<&Route::proxy_protocol, proxy_words>},
    {{"xclient", "no|yes"}, set_word<&Route::xclient, choice_words>, word_of<&Route::xclient, choice_words>},
    {{"ttl", "SECONDS"}, set_number<&Route::ttl_s, 7 * 24 * 3600>, number_of<&Route::ttl_s>},
    {{"sessions_max", "NUMBER"}, set_number<&Route::sessions_max, 1000000>, number_of<&Route::sessions_max>},
    {{"allow_nets", "NETWORK/BITS[,...]"}, set_nets, nets_text},
    {{"allow_protocols", "imap|pop3|submission|sieve[,...]"}, set_protocols, list_text<&Route::allowed_protocols>},
    {{"master", "no|yes"}, set_word<&Route::master, choice_words>, word_of<&Route::master, choice_words>},
    {{"expires", "2026-12-31"}, set_expiry, expiry_text},
    {{"text", "SENTENCE"}, set_text<&Route::text>, text_of<&Route::text>},
    {{"code", "WORD"}, set_text<&Route::code>, text_of<&Route::code>},
};

const Row* find_row(std::string_view name) {
  for (const Row& row : rows) {
    if (row.attribute.name == name) return &row;
  }
  return nullptr;
}

template <typename Value>
void fill(Value& value, const Value& fallback) {
  if (value == Value{}) value = fallback;
}

}  // namespace

bool is_protocol(std::string_view word) {
  return std::find(std::begin(protocol_words), std::end(protocol_words), word) != std::end(protocol_words);
}

Route Route::clone() const {
  Route copy;
  copy.fill_from(*this);
  return copy;
}

void Route::fill_from(const Route& defaults) {
  if (backs.empty() && hashed_backs.empty() && pool.empty()) {
    backs = defaults.backs;
    hashed_backs = defaults.hashed_backs;
    pool = defaults.pool;
  }
  if (password.empty() && master_user.empty()) {
    password = defaults.password.clone();
    master_user = defaults.master_user;
    master_password = defaults.master_password.clone();
  }
  fill(moving_to, defaults.moving_to);
  fill(moving_to_tls_name, defaults.moving_to_tls_name);
  fill(user, defaults.user);
  fill(tls, defaults.tls);
  fill(tls_name, defaults.tls_name);
  fill(mechanism, defaults.mechanism);
  fill(proxy_protocol, defaults.proxy_protocol);
  fill(xclient, defaults.xclient);
  fill(ttl_s, defaults.ttl_s);
  fill(sessions_max, defaults.sessions_max);
  fill(expires_s, defaults.expires_s);
  fill(master, defaults.master);
  fill(text, defaults.text);
  fill(code, defaults.code);
  if (allowed_nets.empty()) allowed_nets = defaults.allowed_nets;
  if (allowed_protocols.empty()) allowed_protocols = defaults.allowed_protocols;
}

std::span<const RouteAttribute> route_attributes() {
  static const std::vector<RouteAttribute> attributes = [] {
    std::vector<RouteAttribute> all;
    for (const Row& row : rows)
      all.push_back(row.attribute);
    return all;
  }();
  return attributes;
}

absl::Status set_attribute(Route& route, std::string_view name, std::string_view value) {
  const Row* row = find_row(name);
  return row != nullptr ? row->set(route, value) : absl::NotFoundError("is no attribute of a route");
}

std::string attribute_text(const Route& route, std::string_view name) {
  const Row* row = find_row(name);
  return row != nullptr ? row->text(route) : "";
}

absl::Status check_route(const Route& route) {
  if (!route.backs.empty() && !route.pool.empty()) return wrong("back and pool exclude each other; keep one of them");
  if (!route.hashed_backs.empty() && (!route.backs.empty() || !route.pool.empty())) {
    return wrong("back_by_hash excludes back and pool; keep one of them");
  }
  if (route.master_user.empty() != route.master_password.empty()) {
    return wrong("master_user and master_password belong together; give both or none");
  }
  if (!route.master_user.empty() && !route.password.empty()) {
    return wrong("back_password and master_user exclude each other; keep one of them");
  }
  return absl::OkStatus();
}

std::vector<std::string> backs_for(const Route& route, std::string_view user) {
  if (route.hashed_backs.empty()) return route.backs;
  std::vector<std::pair<uint64_t, std::string>> weighed;
  for (const std::string& back : route.hashed_backs) {
    // FNV-1a: the same in every process and version, which std::hash does not promise. Nobody gains by a collision.
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : back + " " + std::string(user))
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    weighed.emplace_back(hash ^ (hash >> 32), back);
  }
  std::sort(weighed.rbegin(), weighed.rend());
  std::vector<std::string> backs;
  for (auto& [weight, back] : weighed)
    backs.push_back(std::move(back));
  return backs;
}

std::string expand_user(std::string_view pattern, std::string_view user) {
  const size_t at = user.rfind('@');
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"{user}", user},
      {"{local}", user.substr(0, at)},
      {"{domain}", at == user.npos ? std::string_view() : user.substr(at + 1)},
  };
  std::string name;
  while (!pattern.empty()) {
    const auto* part = std::find_if(std::begin(parts), std::end(parts),
                                    [&](const auto& known) { return pattern.starts_with(known.first); });
    if (part == std::end(parts)) {
      name += pattern.front();
      pattern.remove_prefix(1);
    } else {
      name += part->second;
      pattern.remove_prefix(part->first.size());
    }
  }
  return name;
}

}  // namespace postern::helper
