// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/cross_checks.h"

#include <algorithm>

#include <absl/container/flat_hash_map.h>

#include "config/limit_checks.h"
#include "config/settings.h"
#include "config/words.h"

namespace postern::config {
namespace {

using protocol::Mechanism;
using session::Dialect;
using session::dialect_word;
using session::FrontTls;
using session::ListenerOptions;
using session::PoolOptions;

// Loopback, private and link-local addresses: strangers do not reach these from afar (RFC 1918, 3927, 4193, 4291).
bool is_private(const Endpoint& endpoint) {
  static constexpr std::string_view ranges[] = {"127.0.0.0/8",    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                                "169.254.0.0/16", "::1/128",    "fc00::/7",      "fe80::/10"};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](std::string_view range) { return Network::parse(range)->contains(endpoint); });
}

const Endpoint* first_public(const std::vector<Endpoint>& endpoints) {
  const auto found = std::find_if_not(endpoints.begin(), endpoints.end(), is_private);
  return found == endpoints.end() ? nullptr : &*found;
}

// The n-th listener, with what was written of it.
struct Listener {
  Draft& draft;
  size_t index;

  ListenerOptions& options() const { return draft.config.session.listeners[index]; }
  const Given* find(std::string_view name) const { return draft.find("listen", name, index); }
  Place place(std::string_view name) const { return draft.place("listen", name, index); }
  // Written, but not understood: no conclusions, that is a problem of its own.
  bool broken(std::string_view name) const { return find(name) != nullptr && !find(name)->good; }

  // At the setting's place: Listener "imap-993" and then the text.
  void problem(std::string_view name, const std::string& text) const { draft.problem(place(name), label() + text); }
  void warning(std::string_view name, const std::string& text) const { draft.warning(place(name), label() + text); }

 private:
  std::string label() const { return "Listener " + quoted(options().name) + " "; }
};

void name_listener(const Listener& listener) {
  ListenerOptions& options = listener.options();
  if (!options.name.empty()) return;
  options.name = dialect_word(options.dialect);
  if (!options.addresses.empty()) options.name += "-" + std::to_string(options.addresses.front().port);
}

void check_tls(const Listener& listener) {
  const ListenerOptions& options = listener.options();
  if (listener.broken("tls") || listener.broken("login_without_tls")) return;
  if (options.tls != FrontTls::None && listener.draft.config.tls.certificates.empty() &&
      listener.draft.config.tls.folders.empty()) {
    listener.problem(
        "tls",
        "wants TLS, and there is no [[tls.certificate]]. Add one with its chain and key, or set folders in "
        "[tls], or set tls = \"none\".");
  }
  // A load balancer's header may say that it has ended TLS.
  if (options.tls == FrontTls::None && !options.login_without_tls && !options.proxy_protocol) {
    listener.problem("tls",
                     "has no TLS and takes no password without it: nobody could log in. Set tls = \"implicit\", or "
                     "login_without_tls = true where the network is trusted.");
  }
  if (options.tls == FrontTls::Implicit && options.login_without_tls) {
    listener.warning("login_without_tls",
                     "has tls = \"implicit\", where login_without_tls changes nothing. Take it out.");
  }
  const Endpoint* exposed = first_public(options.addresses);
  if (options.tls != FrontTls::Implicit && options.login_without_tls && exposed != nullptr) {
    listener.warning("login_without_tls", "takes passwords in clear on " + exposed->text() +
                                              ", which strangers may reach. Set login_without_tls = false, or listen "
                                              "on a private address.");
  }
}

void check_proxy_protocol(const Listener& listener) {
  const ListenerOptions& options = listener.options();
  if (listener.broken("proxy_protocol") || listener.broken("trusted")) return;
  if (options.proxy_protocol && options.trusted.empty()) {
    listener.problem("proxy_protocol",
                     "expects PROXY headers and trusts nobody to send them. Name the load balancers, for example: "
                     "trusted = [\"10.0.0.0/8\"]");
  }
  if (!options.proxy_protocol && !options.trusted.empty()) {
    listener.warning("trusted",
                     "has proxy_protocol = false, where trusted changes nothing. Set proxy_protocol = true, or take it "
                     "out.");
  }
  const bool everybody = std::any_of(options.trusted.begin(), options.trusted.end(),
                                     [](const Network& network) { return network.prefix_bits == 0; });
  if (options.proxy_protocol && everybody) {
    listener.warning("trusted", "lets everybody claim any address by a PROXY header. Name only the load balancers.");
  }
}

// With ALPN there is one pool for each protocol.
void check_pools_of(const Listener& listener) {
  const ListenerOptions& options = listener.options();
  if (listener.broken("pools") || listener.broken("tls")) return;
  if (options.tls != FrontTls::Implicit) {
    listener.problem("tls",
                     "chooses the protocol by ALPN, which needs TLS from the first byte. Set tls = \"implicit\".");
  }
  if (options.pools.empty()) {
    listener.problem("protocol",
                     "chooses the protocol by ALPN and has no pools to choose from. Name one for each protocol, for "
                     "example: pools = [\"imap\", \"pop3\"]");
  }
  std::vector<Dialect> dialects;
  for (const std::string& name : options.pools) {
    const auto& pools = listener.draft.config.session.pools;
    const auto pool =
        std::find_if(pools.begin(), pools.end(), [&](const PoolOptions& one) { return one.name == name; });
    if (pool == pools.end()) {
      listener.problem("pools",
                       "names the pool " + quoted(name) + ", which is not defined. Add a [[pool]] of that name.");
    } else if (std::find(dialects.begin(), dialects.end(), pool->dialect) != dialects.end()) {
      listener.problem(
          "pools", "has two pools that speak " + std::string(dialect_word(pool->dialect)) + ". Take one of them out.");
    } else {
      dialects.push_back(pool->dialect);
    }
  }
}

void check_mechanisms(const Listener& listener) {
  const ListenerOptions& options = listener.options();
  if (listener.broken("mechanisms") || listener.broken("client_ca")) return;
  const bool external = options.mechanisms.has(Mechanism::External);
  if (external && options.client_ca.empty()) {
    listener.problem("mechanisms",
                     "offers EXTERNAL and verifies no certificates. Set client_ca, or take EXTERNAL out.");
  }
  if (!options.client_ca.empty() && options.tls == FrontTls::None) {
    listener.problem("client_ca", "has tls = \"none\", where nobody can show a certificate. Take client_ca out.");
  }
  if (!options.client_crl.empty() && options.client_ca.empty()) {
    listener.problem("client_crl", "has a client_crl and no client_ca whose list it could be. Set client_ca.");
  }
  const bool scram =
      options.mechanisms.has(Mechanism::ScramSha256) || options.mechanisms.has(Mechanism::ScramSha256Plus);
  if ((external || scram) && listener.draft.config.auth.mode == auth::Mode::Back) {
    listener.problem(
        "mechanisms",
        "offers EXTERNAL or SCRAM, which bring no password for the mail server, with mode = \"back\", where "
        "the mail server verifies. Take them out, or use a helper.");
  }
  if (!options.webmail.empty() && options.dialect == Dialect::Sieve) {
    listener.warning("webmail",
                     "speaks sieve, in which nobody can name an address: webmail changes nothing. Take it out.");
  }
}

void check_pool_of(const Listener& listener) {
  const ListenerOptions& options = listener.options();
  if (options.dialect == Dialect::Alpn) return check_pools_of(listener);
  if (!options.pools.empty()) {
    listener.problem("pools", "has pools, which only protocol = \"alpn\" chooses from. Set pool, or that protocol.");
  }
  std::vector<std::string_view> names;
  for (const PoolOptions& pool : listener.draft.config.session.pools) {
    // A pool whose name is missing or wrong may be the one that is meant.
    if (pool.name.empty()) return;
    if (pool.name == options.pool) {
      if (pool.dialect == options.dialect) return;
      listener.problem("pool", "speaks " + std::string(dialect_word(options.dialect)) + ", and its pool " +
                                   quoted(pool.name) + " speaks " + std::string(dialect_word(pool.dialect)) +
                                   ". Give it a pool of its own protocol.");
      return;
    }
    names.push_back(pool.name);
  }
  if (listener.broken("pool")) return;
  // The helper may route everybody by itself: see imply_pool.
  const bool written = listener.find("pool") != nullptr;
  if (!written && listener.draft.config.auth.mode == auth::Mode::Helper) return;
  const std::string_view meant = nearest(options.pool, names);
  listener.problem("pool", "names the pool " + quoted(options.pool) + ", which is not defined" +
                               (meant.empty() ? ". Add a [[pool]] of that name and its members."
                                              : "; did you mean " + quoted(meant) + "?"));
}

// With a helper, routes may name their own mail servers, and a file without any pool makes sense. Whatever else a session
// asks a pool for, it then finds in one that has nothing but its name.
void imply_pool(Draft& draft) {
  session::Options& options = draft.config.session;
  const std::string name = ListenerOptions{}.pool;
  const auto wanted = std::find_if(
      options.listeners.begin(), options.listeners.end(),
      [&](const ListenerOptions& listener) { return listener.pool == name && listener.dialect != Dialect::Alpn; });
  const bool there = std::any_of(options.pools.begin(), options.pools.end(),
                                 [&](const PoolOptions& pool) { return pool.name == name; });
  if (wanted != options.listeners.end() && !there) {
    options.pools.push_back({.name = name, .dialect = wanted->dialect});
  }
}

// Says where a value stood before, when it stands there twice.
template <typename Key>
class Seen {
 public:
  // nullptr: it is new.
  const Place* add(const Key& key, Place place) {
    const auto [found, is_new] = places_.try_emplace(key, place);
    return is_new ? nullptr : &found->second;
  }

 private:
  absl::flat_hash_map<Key, Place> places_;
};

std::string line(const Place& place) {
  return "line " + std::to_string(place.line);
}

void check_listeners(Draft& draft) {
  const size_t count = draft.config.session.listeners.size();
  if (count == 0 && !draft.elements.contains("listen")) {
    draft.problem(draft.end,
                  "There is no [[listen]]: nobody could connect. Add one and below it, for example: "
                  "addresses = [\"0.0.0.0:993\", \"[::]:993\"]");
  }
  Seen<std::string> names;
  Seen<Endpoint> addresses;
  for (size_t i = 0; i < count; ++i) {
    const Listener listener{draft, i};
    name_listener(listener);
    check_tls(listener);
    check_proxy_protocol(listener);
    check_pool_of(listener);
    check_mechanisms(listener);
    const ListenerOptions& options = listener.options();
    // A name that was made from nothing but the protocol has a listener without addresses: a problem of its own.
    const Place* before = options.addresses.empty() ? nullptr : names.add(options.name, listener.place("name"));
    if (before != nullptr) {
      draft.problem(listener.place("name"),
                    "Two listeners are named " + quoted(options.name) + ", here and on " + line(*before) +
                        ". Set a name of its own for this one, such as name = " + quoted(options.name + "-b"));
    }
    const Given* given = listener.find("addresses");
    for (size_t j = 0; j < options.addresses.size(); ++j) {
      const Place place = given->items[j];
      if (const Place* first = addresses.add(options.addresses[j], place)) {
        draft.problem(place, "The address " + options.addresses[j].text() + " is listened on already, from " +
                                 line(*first) + ". Take one of them out.");
      }
    }
  }
}

std::vector<Endpoint> addresses_of(const PoolOptions& pool) {
  std::vector<Endpoint> addresses;
  for (const session::MemberOptions& member : pool.members) {
    if (member.address) addresses.push_back(*member.address);
  }
  return addresses;
}

void check_back_ways(Draft& draft, size_t index) {
  const PoolOptions& pool = draft.config.session.pools[index];
  const std::string label = "Pool " + quoted(pool.name);
  const auto problem = [&](std::string_view name, const std::string& text) {
    draft.problem(draft.place("pool", name, index), label + text);
  };
  if (pool.tls_certificate.empty() != pool.tls_key.empty()) {
    problem(pool.tls_key.empty() ? "tls_certificate" : "tls_key",
            " has only one of tls_certificate and tls_key. Add the other one.");
  }
  if (pool.xclient_login && (pool.dialect != Dialect::Submission || !pool.send_id)) {
    problem("xclient_login",
            " has xclient_login, which is for submission, together with send_id = true. Set that too, or "
            "take it out.");
  }
  if (pool.slow_start > Duration::zero() && pool.balance != session::Balance::LeastSessions) {
    draft.warning(draft.place("pool", "slow_start", index),
                  label + " has slow_start, which changes nothing without balance = \"least-sessions\". Take it out.");
  }
  constexpr size_t pin_size = 44;  // 32 octets in base64
  for (const std::string& pin : pool.tls_pins) {
    if (pin.size() == pin_size && pin.ends_with('=') && !pin.ends_with("==")) continue;
    problem("tls_pins", " has the pin " + quoted(pin) +
                            ", which is no SHA-256 in base64 (44 characters). It is made by: " +
                            "openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | "
                            "openssl dgst -sha256 -binary | base64");
  }
}

void check_pools(Draft& draft) {
  Seen<std::string> names;
  for (size_t i = 0; i < draft.config.session.pools.size(); ++i) {
    const PoolOptions& pool = draft.config.session.pools[i];
    const auto place = [&](std::string_view name) { return draft.place("pool", name, i); };
    const std::string label = "Pool " + quoted(pool.name);
    if (const Place* before = pool.name.empty() ? nullptr : names.add(pool.name, place("name"))) {
      draft.problem(place("name"), "Two pools are named " + quoted(pool.name) + ", here and on " + line(*before) +
                                       ". Give one of them another name, or put all members into one.");
    }
    const Given* given = draft.find("pool", "members", i);
    Seen<std::string> members;
    for (size_t j = 0; j < pool.members.size(); ++j) {
      if (members.add(pool.members[j].text(), given->items[j]) == nullptr) continue;
      draft.problem(given->items[j],
                    label + " has the member " + pool.members[j].text() + " twice. Take one of them out.");
    }
    const Given* tls = draft.find("pool", "tls", i);
    if (tls != nullptr && !tls->good) continue;
    check_back_ways(draft, i);
    const bool helper_routes = draft.config.auth.mode == auth::Mode::Helper;
    if (pool.tls != auth::BackTls::None) {
      if (!pool.tls_pins.empty() || !pool.tls_name.empty() || draft.find("pool", "tls_name", i) != nullptr) continue;
      const std::string text = label + " speaks TLS and has no tls_name, without which no certificate can be verified";
      if (helper_routes) {
        draft.warning(place("tls"), text + ": only users whose route brings a tls_name can log in. Add tls_name.");
      } else {
        draft.problem(place("tls"), text + ". Add tls_name, the name in the members' certificates.");
      }
      continue;
    }
    // With a CA at hand a helper's route may ask for TLS to a pool that speaks in clear otherwise.
    if (helper_routes && draft.find("pool", "tls_ca", i) != nullptr) continue;
    for (const std::string_view name : {std::string_view("tls_name"), std::string_view("tls_ca")}) {
      if (draft.find("pool", name, i) == nullptr) continue;
      draft.warning(place(name), label + " has tls = \"none\", where " + std::string(name) +
                                     " changes nothing. Set tls = \"implicit\" or \"starttls\", or take it out.");
    }
    const std::vector<Endpoint> addresses = addresses_of(pool);
    if (const Endpoint* exposed = first_public(addresses)) {
      draft.warning(place("tls"), label + " sends passwords in clear to " + exposed->text() +
                                      ", which is no private address. Set tls = \"implicit\" or \"starttls\".");
    }
  }
}

void check_auth(Draft& draft) {
  if (draft.config.auth.mode != auth::Mode::Back) return;
  for (const Setting& setting : settings()) {
    const bool of_helper = setting.section == "auth.cache" || (setting.section == "auth" && setting.name != "mode");
    if (!of_helper || draft.find(setting.section, setting.name) == nullptr) continue;
    draft.warning(draft.place(setting.section, setting.name),
                  std::string(setting.name) + " in " + heading(setting.section) +
                      " changes nothing with mode = \"back\": "
                      "the mail server verifies, nobody else is asked and nothing is remembered. Take it out.");
  }
}

void check_log(Draft& draft) {
  const LogOptions& log = draft.config.log;
  if (log.target != LogTarget::Journal) return;
#ifndef POSTERN_JOURNAL
  draft.problem(
      draft.place("log", "target"),
      "target in [log] is \"journal\", and this build of Postern cannot speak to it: libsystemd was not there. "
      "Set \"stderr\", which systemd passes on to the journal.");
#endif
  if (log.format == LogFormat::Json) {
    draft.warning(
        draft.place("log", "format"),
        "format in [log] changes nothing with target = \"journal\", which keeps every field by itself. Take it "
        "out.");
  }
}

}  // namespace

void cross_check(Draft& draft) {
  check_log(draft);
  check_listeners(draft);
  check_pools(draft);
  check_auth(draft);
  check_limits(draft);
  imply_pool(draft);
}

}  // namespace postern::config
