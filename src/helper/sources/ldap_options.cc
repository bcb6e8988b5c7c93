// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_options.h"

#include <ldap.h>

#include <algorithm>
#include <iterator>

#include "config/words.h"
#include "helper/sources/columns.h"
#include "helper/this_machine.h"

namespace postern::helper {
namespace {

using config::Value;

constexpr std::string_view list_columns[] = {"password", "back", "back_by_hash", "allow_nets", "allow_protocols"};
constexpr std::string_view verify_words[] = {"bind", "hash"};       // in the order of LdapOptions::Verify
constexpr std::string_view scope_words[] = {"base", "one", "sub"};  // RFC 4516; in the order of LdapSearch::Scope
constexpr const char* system_ca = "/etc/ssl/certs/ca-certificates.crt";

// A server of one URI; what is wrong with it goes to `fault`.
struct Address {
  std::string scheme;
  std::string host;
};
std::optional<Address> parse_uri(const std::string& uri) {
  LDAPURLDesc* parts = nullptr;
  if (ldap_url_parse(uri.c_str(), &parts) != LDAP_URL_SUCCESS) return std::nullopt;
  Address address{parts->lud_scheme, parts->lud_host != nullptr ? parts->lud_host : ""};
  const bool is_bare = parts->lud_dn == nullptr || *parts->lud_dn == '\0';
  ldap_free_urldesc(parts);
  if (!is_bare || address.host.empty() || uri.find_first_of(" ,") != uri.npos) return std::nullopt;
  return address;
}

void read_servers(TableReader& reader, LdapOptions& options) {
  std::vector<std::string> uris;
  std::string tls_ca = system_ca;
  bool start_tls = false;
  reader.texts("uri", uris);
  reader.path("tls_ca", tls_ca);
  reader.truth("start_tls", start_tls);
  const Value* said = reader.take("uri");
  if (said == nullptr || (uris.empty() && said->kind == Value::Kind::List)) {
    reader.missing("uri", "uri = \"ldaps://ldap.example.test\"");
  }
  for (const std::string& uri : uris) {
    const std::optional<Address> address = parse_uri(uri);
    if (!address) {
      reader.wrong(*said, "uri",
                   "has " + config::quoted(uri) +
                       "; an address of a directory is ldap://HOST:PORT, ldaps://HOST:PORT or, for a socket, "
                       "ldapi://%2Frun%2Fslapd%2Fldapi");
      continue;
    }
    // In clear everybody on the way could read the passwords: that wants to be meant.
    if (address->scheme == "ldap" && !is_this_machine(address->host) && reader.take("start_tls") == nullptr) {
      reader.wrong(*said, "uri",
                   "has " + config::quoted(uri) +
                       ", where passwords would travel in clear. Set start_tls = true, or use ldaps://; "
                       "start_tls = false where the network itself is protected");
    }
    options.servers.push_back({uri, start_tls && address->scheme == "ldap", tls_ca});
  }
}

void read_query(TableReader& reader, std::string_view key, std::optional<Query>& into) {
  std::string text;
  reader.text(key, text);
  if (text.empty()) return;
  absl::StatusOr<Query> query = Query::parse(text);
  if (!query.ok()) return reader.wrong(*reader.take(key), key, std::string(query.status().message()));
  if (!query->has(Variable::User) && !query->has(Variable::Local)) {
    return reader.wrong(*reader.take(key), key, "has neither %{user} nor %{local}, so it is the same for everybody");
  }
  into = *std::move(query);
}

// Where users are: by a search, or at a DN that is known.
void read_place(TableReader& reader, LdapOptions& options) {
  read_query(reader, "user_dn", options.user_dn);
  read_query(reader, "filter", options.filter);
  reader.text("base", options.base);
  size_t scope = static_cast<size_t>(options.scope);
  reader.choice("scope", scope_words, scope);
  options.scope = static_cast<LdapSearch::Scope>(scope);
  const bool searches = reader.take("filter") != nullptr;
  if (reader.take("user_dn") != nullptr) {
    for (const std::string_view key : {"filter", "base", "scope"}) {
      if (const Value* value = reader.take(key); value != nullptr)
        reader.wrong(*value, key, "goes with a search, and user_dn without one; keep one of them");
    }
  } else if (!searches) {
    reader.missing("filter", "filter = \"(mail=%{user})\"");
  } else if (options.base.empty()) {
    reader.missing("base", "base = \"ou=people,dc=example,dc=test\"");
  }
}

void read_searcher(TableReader& reader, LdapOptions& options) {
  reader.text("bind_dn", options.bind_dn);
  reader.secret_file("bind_password_file", options.bind_password);
  const bool has_password = reader.take("bind_password_file") != nullptr;
  if (!options.bind_dn.empty() && !has_password) {
    reader.missing("bind_password_file", "bind_password_file = \"/etc/postern/ldap-password\"");
  }
  if (options.bind_dn.empty() && has_password) {
    reader.missing("bind_dn", "bind_dn = \"cn=postern,dc=example,dc=test\"");
  }
}

bool is_attribute_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
           c == ';';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), fits);
}

void read_attributes(TableReader& reader, LdapOptions& options) {
  const Value* table = reader.take("attributes");
  if (table == nullptr) return;
  if (table->kind != Value::Kind::Table) {
    return reader.wrong_kind(*table, "attributes", "a table, such as { back = \"mailHost\" }");
  }
  const std::vector<std::string_view> known = known_columns();
  for (const config::Entry& entry : table->entries) {
    const std::string key = "attributes." + entry.key;
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const std::string_view meant = config::nearest(entry.key, known);
      reader.wrong(entry.value, key,
                   meant.empty() ? "is nothing that a user can have; postern-auth.toml(5) lists what there is"
                                 : "is unknown; did you mean " + config::quoted(meant) + "?");
    } else if (entry.value.kind != Value::Kind::Text || !is_attribute_name(entry.value.text)) {
      reader.wrong_kind(entry.value, key, "the name of an attribute in quotes");
    } else {
      options.attributes.push_back({entry.key, entry.value.text});
    }
  }
}

}  // namespace

LdapOptions read_ldap(TableReader& reader, SourceRules& rules) {
  LdapOptions options;
  read_servers(reader, options);
  read_place(reader, options);
  read_searcher(reader, options);
  read_attributes(reader, options);
  size_t verify = 0;
  reader.choice("verify", verify_words, verify);
  options.verify = static_cast<LdapOptions::Verify>(verify);
  const bool has_password = std::any_of(options.attributes.begin(), options.attributes.end(),
                                        [](const LdapOptions::Mapping& one) { return one.column == "password"; });
  if (options.verify == LdapOptions::Verify::Bind) {
    const Value* table = reader.take("attributes");
    if (has_password) {
      reader.wrong(*table, "attributes",
                   "fetches password, which only verify = \"hash\" looks at; take it out, or set that");
    }
    if (rules.check_at_back) {
      reader.wrong(*reader.take("check"), "check",
                   "is \"back\", but by verify = \"bind\" the directory verifies the passwords; set verify = \"hash\"");
    }
  } else if (!has_password && !rules.check_at_back && !rules.only_route) {
    reader.missing("attributes", "attributes = { password = \"userPassword\" }, which verify = \"hash\" compares");
  }
  return options;
}

bool takes_several(std::string_view column) {
  return std::find(std::begin(list_columns), std::end(list_columns), column) != std::end(list_columns);
}

}  // namespace postern::helper
