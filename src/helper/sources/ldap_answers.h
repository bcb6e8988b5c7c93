// SPDX-License-Identifier: GPL-3.0-or-later
// What a directory's answers say of a user.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "helper/sources/ldap_connection.h"
#include "helper/sources/ldap_options.h"
#include "helper/sources/source.h"

namespace postern::helper {

// What a bind as the user says that did not succeed; SourceFailure: nothing of him.
Lookup refusal_of(const LdapResult& bind);

// The user of one entry that was searched for with the attributes of `mappings`. A Status names the attribute that is
// wrong, and never what it held.
absl::StatusOr<Entries> entries_of(const LdapFound& found, const std::vector<LdapOptions::Mapping>& mappings);

}  // namespace postern::helper
