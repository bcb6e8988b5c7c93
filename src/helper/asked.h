// SPDX-License-Identifier: GPL-3.0-or-later
// Asked: a login as sources of users see it, and the variables that stand for its parts in queries and patterns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "postern/helper.h"

namespace postern::helper {

// Lives as long as the question is being answered.
struct Asked {
  // `asked_for` is the name as it was sent, or what an alias made of it.
  Asked(const postern_question& question, std::string_view asked_for);

  const postern_question& question;
  std::string user;         // folded (names.h)
  bool needs_hash = false;  // only a stored hash helps: SCRAM's keys, or a route without a login
};

// `bytes` as a view; of a value that is not there: empty.
std::string_view view(postern_bytes bytes);

// What stands behind %{...} in a query, a filter, a DN or a URL. All but the user's name come from the gate.
enum class Variable : uint8_t {
  User,      // %{user}: the name, folded
  Local,     // %{local}: before its last @
  Domain,    // %{domain}: behind it; empty without one
  Protocol,  // %{protocol}: "imap", "pop3", "submission", "sieve"
  Client,    // %{client}: the mail program's address, without a port
  Server,    // %{server}: the address that it connected to, without a port
  Listener,  // %{listener}
  Name,      // %{sni}: the host name that it asked for in TLS
};

// "user": without %{ and }.
std::optional<Variable> parse_variable(std::string_view word);
// "%{user}, %{local}, ...": for a sentence.
std::string known_variables();
std::string value_of(Variable variable, const Asked& asked);

}  // namespace postern::helper
