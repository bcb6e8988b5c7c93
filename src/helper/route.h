// SPDX-License-Identifier: GPL-3.0-or-later
// Route: where a user's mail lives, how the gate logs in there and from where the user may, as a source of users keeps it.
//
// Every source writes the same attributes under the same names: columns of a database, extra fields of a passwd-file,
// keys of postern-auth.toml and options of `postern-auth user`. One table in the .cc declares them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/endpoint.h"
#include "base/secret.h"
#include "postern/helper.h"

namespace postern::helper {

// The protocols of a question.
inline constexpr std::string_view protocol_words[] = {"imap", "pop3", "submission", "sieve"};
bool is_protocol(std::string_view word);

// Empty, nullopt and 0 mean "not said" throughout: then the gate's pool decides.
struct Route {
  std::vector<std::string> backs;  // "192.0.2.1:143", or without a port for the protocol's own; in order of preference
  std::vector<std::string>
      hashed_backs;       // the same, but each user has one of them by his name, and the others behind it
  std::string pool;       // a pool of the gate; never together with either kind of backs
  std::string moving_to;  // another mail server, as in backs, that has the last word where those above refuse him
  std::string moving_to_tls_name;  // the name in its certificate; empty: tls_name
  std::string user;         // the name at the mail server; {user}, {local} and {domain} stand for the login's parts
  Secret password;          // the password at the mail server; empty: the mail program's own
  std::string master_user;  // log in as this one on behalf of the user; never together with password
  Secret master_password;
  postern_back_tls tls = POSTERN_TLS_UNSAID;
  std::string tls_name;
  std::string mechanism;        // "LOGIN" or "PLAIN"
  uint32_t proxy_protocol = 0;  // 1 or 2
  postern_choice xclient = POSTERN_UNSAID;
  uint32_t ttl_s = 0;
  uint32_t sessions_max = 0;
  std::vector<Network> allowed_nets;           // where the user may come from; empty: from everywhere
  std::vector<std::string> allowed_protocols;  // "imap", "pop3", "submission", "sieve"; empty: all
  int64_t expires_s = 0;                       // seconds since 1970; from then on the password is none; 0: never
  postern_choice master = POSTERN_UNSAID;      // yes: may log in to the mailboxes of others (authzid of RFC 4616)
  std::string text;  // what the user hears who is disabled, or may not log in here, this way or any more
  std::string code;  // the response code with it (RFC 5530)

  Route clone() const;
  // Takes over what is not said here. What excludes each other goes together: a pool of the defaults does not join a
  // back of this route, nor a master user this route's own password.
  void fill_from(const Route& defaults);
};

// An attribute's name and what it may hold, for people.
struct RouteAttribute {
  std::string_view name;  // "back"
  std::string_view form;  // "ADDRESS:PORT", for a usage text
  bool secret = false;    // must not stand in an argument list
};

// In the order of the manual.
std::span<const RouteAttribute> route_attributes();

// Sets one attribute from text, the same from all sources. `back` takes several addresses with commas between, and
// replaces all that were there. An empty value takes the attribute back. A Status says what is wrong with the value;
// NotFoundError: there is no such attribute.
absl::Status set_attribute(Route& route, std::string_view name, std::string_view value);

// The text that set_attribute() would take, empty where it is not said. Secret ones come out too.
std::string attribute_text(const Route& route, std::string_view name);

// What no single attribute shows: pool with back, a master user without its password. Ok if all fits together.
absl::Status check_route(const Route& route);

// The addresses to try for this user, in order. Of hashed ones each user keeps his when others come and go (rendezvous
// hashing).
std::vector<std::string> backs_for(const Route& route, std::string_view user);

// The user's name at the mail server: `pattern` with its {user}, {local} (before the last @) and {domain} filled in.
std::string expand_user(std::string_view pattern, std::string_view user);

}  // namespace postern::helper
