// SPDX-License-Identifier: GPL-3.0-or-later
// For --check: whether a directory knows the attributes that it is asked for.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "helper/sources/ldap_connection.h"

namespace postern::helper {

// A Status says which of `names` the server's schema (RFC 4512, section 4.2) has not got. Ok as well where it does not
// show its schema.
absl::Status check_attributes(LdapConnection& connection, const std::vector<std::string>& names, Instant deadline);

}  // namespace postern::helper
