// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_attributes.h"

#include <ldap.h>
#include <ldap_schema.h>

#include <algorithm>
#include <set>

#include "config/words.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

// All names of one attribute's description, in lower case.
void add_names(const Secret& description, std::set<std::string>& names) {
  const std::string text(description.reveal());
  int code = 0;
  const char* where = nullptr;
  LDAPAttributeType* type = ldap_str2attributetype(text.c_str(), &code, &where, LDAP_SCHEMA_ALLOW_ALL);
  if (type == nullptr) return;
  names.insert(type->at_oid);
  for (char** name = type->at_names; name != nullptr && *name != nullptr; ++name)
    names.insert(folded(*name));
  ldap_attributetype_free(type);
}

// Empty: the server does not say.
std::set<std::string> known_attributes(LdapConnection& connection, Instant deadline) {
  std::set<std::string> names;
  std::vector<LdapFound> found;
  LdapSearch search{"", LdapSearch::Scope::Base, "(objectClass=*)", {"subschemaSubentry"}};
  if (!connection.search(search, found, deadline).ok() || found.empty() || found[0].values[0].empty()) return names;
  search = {std::string(found[0].values[0][0].reveal()),
            LdapSearch::Scope::Base,
            "(objectClass=subschema)",
            {"attributeTypes"}};
  found.clear();
  if (!connection.search(search, found, deadline).ok() || found.empty()) return names;
  for (const Secret& description : found[0].values[0])
    add_names(description, names);
  return names;
}

}  // namespace

absl::Status check_attributes(LdapConnection& connection, const std::vector<std::string>& names, Instant deadline) {
  const std::set<std::string> known = known_attributes(connection, deadline);
  if (known.empty()) return absl::OkStatus();
  for (const std::string& name : names) {
    const std::string bare = folded(name.substr(0, name.find(';')));
    if (known.contains(bare)) continue;
    const std::vector<std::string_view> views(known.begin(), known.end());
    const std::string_view meant = config::nearest(bare, views);
    return absl::NotFoundError("the directory's schema has no attribute " + name +
                               (meant.empty() ? "" : "; did you mean " + std::string(meant) + "?"));
  }
  return absl::OkStatus();
}

}  // namespace postern::helper
