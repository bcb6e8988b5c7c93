// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_source.h"

#include <ldap.h>

#include <algorithm>
#include <utility>

#include "helper/sources/ldap_answers.h"
#include "helper/sources/ldap_attributes.h"

namespace postern::helper {
namespace {

// Firewalls forget connections, and a request on such a one is lost. None forgets so soon.
constexpr Duration idle_max = std::chrono::seconds(60);

// A server that failed is asked after the others for so long.
constexpr Duration server_pause = std::chrono::seconds(30);

// For --check: nobody has this name, and nobody this password.
constexpr const char* nobody = "postern-check";

Instant now() {
  return std::chrono::steady_clock::now();
}

// A part of the name that is empty would make a filter or a DN of something else. And blanks at an end, or several in a
// row, mean nothing to a directory (RFC 4518, section 2.6.1): it would take the name for another user's.
bool can_be_sought(const Query& query, const Asked& asked) {
  for (const Variable part : {Variable::User, Variable::Local, Variable::Domain}) {
    if (!query.has(part)) continue;
    const std::string value = value_of(part, asked);
    if (value.empty() || value.front() == ' ' || value.back() == ' ' || value.find("  ") != value.npos) return false;
  }
  return true;
}

std::vector<std::string> names_of(const std::vector<LdapOptions::Mapping>& mappings) {
  std::vector<std::string> names;
  for (const LdapOptions::Mapping& mapping : mappings)
    names.push_back(mapping.attribute);
  return names;
}

// Bytes beyond ASCII may be no UTF-8, which no DN can hold: that is the user's doing and not the configuration's.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Servers in C may take what stands before a NUL for the password, and an empty one for a yes.
bool may_be_a_password(std::string_view password) {
  return !password.empty() && password.find('\0') == password.npos;
}

Refused no_password() {
  return refuse(POSTERN_REASON_CREDENTIALS, "the password is empty, or has a NUL");
}

}  // namespace

LdapSource::LdapSource(LdapOptions options)
    : options_(std::move(options)),
      name_("ldap:" + (options_.servers.empty() ? "" : options_.servers[0].uri)),
      servers_(options_.servers.size(), server_pause),
      idle_(idle_max) {
  // libldap sets itself up when it is used first, which several threads must not do at once.
  int version = 0;
  ldap_get_option(nullptr, LDAP_OPT_PROTOCOL_VERSION, &version);
}

bool LdapSource::keeps_hashes() const {
  return options_.verify == LdapOptions::Verify::Hash || options_.filter || !options_.bind_dn.empty();
}

Lookup LdapSource::find(const Asked& asked) {
  const Instant deadline = now() + rules().turnstile.timeout;
  if (asked.needs_hash || options_.verify == LdapOptions::Verify::Hash) {
    std::vector<LdapFound> found;
    return look_up(asked, found, deadline);
  }
  return options_.user_dn ? bind_directly(asked, deadline) : search_and_bind(asked, deadline);
}

LdapSearch LdapSource::search_for(const Asked& asked) const {
  LdapSearch search;
  search.attributes = names_of(options_.attributes);
  if (options_.user_dn) {
    search.base = options_.user_dn->expand(asked, ldap_escaped);
    search.scope = LdapSearch::Scope::Base;
    search.filter = "(objectClass=*)";
  } else {
    search.base = options_.base;
    search.scope = options_.scope;
    search.filter = options_.filter->expand(asked, ldap_escaped);
  }
  return search;
}

// Entries with what the search says; `found` gets it too.
Lookup LdapSource::look_up(const Asked& asked, std::vector<LdapFound>& found, Instant deadline) {
  const LdapSearch wanted = search_for(asked);
  const LdapResult result = search(wanted, found, deadline);
  const bool at_dn = options_.user_dn.has_value();
  if (!can_be_sought(at_dn ? *options_.user_dn : *options_.filter, asked)) {
    return result.is_servers_fault() ? Lookup(failure(result)) : Lookup(UnknownUser{});
  }
  if (at_dn && result.code == LDAP_NO_SUCH_OBJECT) return UnknownUser{};
  if (at_dn && result.code == LDAP_INVALID_DN_SYNTAX && !is_ascii(asked.user)) return UnknownUser{};
  if (found.size() > 1 || result.code == LDAP_SIZELIMIT_EXCEEDED) {
    std::string which;
    for (const LdapFound& one : found)
      which += (which.empty() ? ": " : ", ") + one.dn;
    return SourceFailure{"several entries match " + wanted.filter + which +
                         ". Make filter and base name one user, or mend the directory"};
  }
  if (!result.ok()) return failure(result);
  if (found.empty()) return UnknownUser{};
  absl::StatusOr<Entries> entries = entries_of(found.front(), options_.attributes);
  if (!entries.ok()) return SourceFailure{std::string(entries.status().message())};
  return *std::move(entries);
}

Lookup LdapSource::search_and_bind(const Asked& asked, Instant deadline) {
  std::vector<LdapFound> found;
  Lookup lookup = look_up(asked, found, deadline);
  auto* entries = std::get_if<Entries>(&lookup);
  if (entries == nullptr) return lookup;
  if (!may_be_a_password(view(asked.question.password))) return no_password();
  const std::string& dn = found.front().dn;
  const Use bind = [&](LdapConnection& connection, Instant until) {
    return connection.bind(dn, view(asked.question.password), until);
  };
  const LdapResult result = on_a_server(bind, deadline);
  if (result.ok()) return Admitted{std::move(entries->front())};
  // It was there a moment ago: this server has not heard of it, or it is just being deleted.
  if (result.code == LDAP_NO_SUCH_OBJECT) return failure(result);
  return refusal_of(result);
}

Lookup LdapSource::bind_directly(const Asked& asked, Instant deadline) {
  if (!can_be_sought(*options_.user_dn, asked)) return UnknownUser{};
  if (!may_be_a_password(view(asked.question.password))) return no_password();
  const LdapSearch own = search_for(asked);
  const Use bind = [&](LdapConnection& connection, Instant until) {
    return connection.bind(own.base, view(asked.question.password), until);
  };
  Connection connection;
  LdapResult result = on_a_server(bind, deadline, &connection);
  if (result.code == LDAP_INVALID_DN_SYNTAX && !is_ascii(asked.user)) return UnknownUser{};
  if (!result.ok()) return refusal_of(result);
  if (own.attributes.empty()) return Admitted{};
  std::vector<LdapFound> found;
  result = connection->search(own, found, deadline);
  if (!result.ok() || found.empty()) {
    return SourceFailure{own.base + " may not read its own entry" + (result.ok() ? "" : ": " + result.text)};
  }
  absl::StatusOr<Entries> entries = entries_of(found.front(), options_.attributes);
  if (!entries.ok()) return SourceFailure{std::string(entries.status().message())};
  return Admitted{std::move(entries->front())};
}

SourceFailure LdapSource::failure(const LdapResult& result) const {
  if (result.code == LDAP_NO_SUCH_OBJECT && !options_.user_dn) {
    return {"base " + options_.base + ": " + result.text + ". It does not exist, or bind_dn may not read it"};
  }
  if (result.code == LDAP_FILTER_ERROR) return {"filter: " + result.text + "; see RFC 4515"};
  return {result.text};
}

LdapResult LdapSource::search_on(LdapConnection& connection, const LdapSearch& search, std::vector<LdapFound>& found,
                                 Instant deadline) const {
  if (!options_.bind_dn.empty()) {
    LdapResult result = connection.bind(options_.bind_dn, options_.bind_password.reveal(), deadline);
    if (result.code == LDAP_INVALID_CREDENTIALS) {
      // Not the user's mistake.
      result.code = LDAP_OTHER;
      result.text += ". Correct bind_dn, or the password in bind_password_file";
    }
    if (!result.ok()) {
      result.text = "bind_dn " + options_.bind_dn + ": " + result.text;
      return result;
    }
  }
  return connection.search(search, found, deadline);
}

LdapResult LdapSource::search(const LdapSearch& wanted, std::vector<LdapFound>& found, Instant deadline) {
  if (Connection connection = idle_.take(); connection != nullptr) {
    const LdapResult result = connection->search(wanted, found, ServerOrder::share(deadline, options_.servers.size()));
    if (!result.is_servers_fault()) {
      idle_.give_back(std::move(connection));
      return result;
    }
    // It was closed while nobody used it, and the others with it.
    found.clear();
    idle_.clear();
  }
  const Use use = [&](LdapConnection& connection, Instant until) {
    found.clear();
    return search_on(connection, wanted, found, until);
  };
  Connection connection;
  LdapResult result = on_a_server(use, deadline, &connection);
  if (result.ok()) idle_.give_back(std::move(connection));
  return result;
}

LdapResult LdapSource::on_a_server(const Use& use, Instant deadline, Connection* connection) {
  const std::vector<size_t> order = servers_.now();
  LdapResult result;
  std::string faults;
  for (size_t i = 0; i < order.size(); ++i) {
    const LdapConnection::Server& server = options_.servers[order[i]];
    const Instant until = ServerOrder::share(deadline, order.size() - i);
    auto fresh = std::make_unique<LdapConnection>();
    result = fresh->open(server, until);
    if (result.ok()) result = use(*fresh, until);
    const bool is_down = result.is_servers_fault();
    is_down ? servers_.failed(order[i]) : servers_.served(order[i]);
    if (!result.ok()) result.text = server.uri + ": " + result.text;
    if (!is_down) {
      if (connection != nullptr) *connection = std::move(fresh);
      return result;
    }
    faults += (faults.empty() ? "" : "; ") + result.text;
  }
  result.text = faults;
  return result;
}

absl::Status LdapSource::check() {
  std::string faults;
  for (const LdapConnection::Server& server : options_.servers) {
    const absl::Status status = check_server(server);
    if (status.ok()) continue;
    const std::string text(status.message());
    faults += (faults.empty() ? "" : "\n") + server.uri + ": " + text + (text.ends_with('?') ? "" : ".");
  }
  return faults.empty() ? absl::OkStatus() : absl::FailedPreconditionError(faults);
}

absl::Status LdapSource::check_server(const LdapConnection::Server& server) const {
  const auto wrong = [](std::string text) { return absl::FailedPreconditionError(std::move(text)); };
  const Instant deadline = now() + rules().turnstile.timeout;
  const postern_question question = question_of_nobody();
  const Asked asked(question, std::string(nobody) + "@" + nobody + ".invalid");
  LdapConnection connection;
  LdapResult result = connection.open(server, deadline);
  if (!result.ok()) {
    const bool uses_tls = server.start_tls || server.uri.starts_with("ldaps:");
    return wrong(result.text + ". Does a server listen there" +
                 (uses_tls ? ", does its certificate show that name, and does tls_ca vouch for it?" : "?"));
  }
  std::vector<LdapFound> found;
  const LdapSearch search = search_for(asked);
  if (keeps_hashes()) {
    result = search_on(connection, search, found, deadline);
  } else {
    result = connection.bind(search.base, nobody, deadline);
    if (result.ok()) return wrong("it takes any password for any user");
    if (result.code == LDAP_INVALID_CREDENTIALS) result = {};
  }
  if (result.code == LDAP_INVALID_DN_SYNTAX) return wrong("\"" + search.base + "\" is no DN: " + result.text);
  if (options_.user_dn && result.code == LDAP_NO_SUCH_OBJECT) result = {};
  if (!result.ok()) return wrong(failure(result).text);
  if (!found.empty()) return wrong("filter " + search.filter + " finds a user whom there is not");
  return check_attributes(connection, names_of(options_.attributes), deadline);
}

}  // namespace postern::helper
