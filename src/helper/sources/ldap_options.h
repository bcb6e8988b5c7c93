// SPDX-License-Identifier: GPL-3.0-or-later
// The settings of a [[source]] of the type ldap.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "helper/sources/ldap_connection.h"
#include "helper/sources/query.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct LdapOptions {
  enum class Verify : uint8_t { Bind, Hash };
  // Which attribute of the directory says what columns.h knows by name.
  struct Mapping {
    std::string column;
    std::string attribute;
  };

  std::vector<LdapConnection::Server> servers;  // in the order of trying
  std::string bind_dn;                          // who searches; empty: nobody in particular
  Secret bind_password;
  std::optional<Query> user_dn;  // where the user is; without it he is searched for
  LdapSearch::Scope scope = LdapSearch::Scope::Subtree;
  std::string base;
  std::optional<Query> filter;
  Verify verify = Verify::Bind;
  std::vector<Mapping> attributes;
};

LdapOptions read_ldap(TableReader& reader, SourceRules& rules);

// True if users can have several of it, as several values of one attribute.
bool takes_several(std::string_view column);

}  // namespace postern::helper
