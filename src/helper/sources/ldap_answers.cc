// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_answers.h"

#include <ldap.h>

#include <utility>

#include "helper/sources/columns.h"

namespace postern::helper {
namespace {

struct Saying {
  std::string_view sign;
  postern_reason reason;
  const char* why;
};

// Active Directory has one result code for everything, and says the rest in its text: "... error, data 533, v4563".
constexpr Saying active_directory[] = {
    {", data 525,", POSTERN_REASON_CREDENTIALS, "unknown user"},
    {", data 530,", POSTERN_REASON_NOT_ALLOWED, "not at this time"},
    {", data 531,", POSTERN_REASON_NOT_ALLOWED, "not from this machine"},
    {", data 532,", POSTERN_REASON_DISABLED, "the password has expired"},
    {", data 533,", POSTERN_REASON_DISABLED, "disabled"},
    {", data 701,", POSTERN_REASON_DISABLED, "the account has expired"},
    {", data 773,", POSTERN_REASON_DISABLED, "the password must be changed first"},
    {", data 775,", POSTERN_REASON_DISABLED, "locked after too many wrong passwords"},
};

Lookup invalid_credentials(const LdapResult& bind) {
  switch (bind.policy) {
    case LdapResult::Policy::Locked:
      return refuse(POSTERN_REASON_DISABLED, "locked after too many wrong passwords: " + bind.text);
    case LdapResult::Policy::Expired: return refuse(POSTERN_REASON_DISABLED, "the password has expired: " + bind.text);
    case LdapResult::Policy::Nothing: break;
  }
  for (const Saying& saying : active_directory) {
    if (bind.text.find(saying.sign) != std::string::npos)
      return refuse(saying.reason, std::string(saying.why) + ": " + bind.text);
  }
  return refuse(POSTERN_REASON_CREDENTIALS, "wrong password: " + bind.text);
}

// Several values of an attribute that may have them are a list, as in a database's column.
Secret joined(const std::vector<Secret>& values) {
  std::string list;
  for (const Secret& value : values)
    list.append(list.empty() ? "" : ",").append(value.reveal());
  return Secret::take(list);
}

}  // namespace

Lookup refusal_of(const LdapResult& bind) {
  switch (bind.code) {
    case LDAP_INVALID_CREDENTIALS: return invalid_credentials(bind);
    case LDAP_NO_SUCH_OBJECT: return UnknownUser{};
    // 389 Directory Server: too many wrong passwords.
    case LDAP_CONSTRAINT_VIOLATION:
      return refuse(POSTERN_REASON_DISABLED, "the directory does not let the account in now: " + bind.text);
    default: return SourceFailure{bind.text};
  }
}

absl::StatusOr<Entries> entries_of(const LdapFound& found, const std::vector<LdapOptions::Mapping>& mappings) {
  std::vector<Column> columns;
  const std::vector<Secret>* passwords = nullptr;
  for (size_t i = 0; i < mappings.size(); ++i) {
    const std::vector<Secret>& values = found.values[i];
    if (values.empty()) continue;
    if (values.size() > 1 && !takes_several(mappings[i].column)) {
      return absl::InvalidArgumentError(found.dn + ": " + mappings[i].attribute + " has " +
                                        std::to_string(values.size()) + " values, and there can be one " +
                                        mappings[i].column);
    }
    if (mappings[i].column == "password") {
      passwords = &values;
    } else {
      columns.push_back({mappings[i].column, joined(values)});
    }
  }
  absl::StatusOr<Entry> entry = entry_of(columns);
  if (!entry.ok()) return absl::InvalidArgumentError(found.dn + ": " + std::string(entry.status().message()));
  if (passwords == nullptr) return one_entry(*std::move(entry));
  Entries entries;
  for (const Secret& password : *passwords) {
    Entry& one = entries.emplace_back();
    one.hash = password.clone();
    one.disabled = entry->disabled;
    one.route = entry->route.clone();
  }
  return entries;
}

}  // namespace postern::helper
