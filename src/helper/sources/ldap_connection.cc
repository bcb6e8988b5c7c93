// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_connection.h"

#include <ldap.h>
#include <sys/time.h>

#include <algorithm>
#include <utility>

namespace postern::helper {
namespace {

constexpr const char* too_late = "the server did not answer in time";

// A search that finds so many has found too many.
constexpr int entries_max = 2;

timeval time_left(Instant deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now()).count();
  // Zero would mean "at once" here, and "for ever" there.
  const auto us = std::max<int64_t>(left, 1000);
  return {us / 1000000, us % 1000000};
}

int scope_of(LdapSearch::Scope scope) {
  switch (scope) {
    case LdapSearch::Scope::Base: return LDAP_SCOPE_BASE;
    case LdapSearch::Scope::One: return LDAP_SCOPE_ONELEVEL;
    case LdapSearch::Scope::Subtree: return LDAP_SCOPE_SUBTREE;
  }
  return LDAP_SCOPE_BASE;
}

std::string sentence(int code, const char* more) {
  std::string text = ldap_err2string(code);
  // libldap has no word of GnuTLS's.
  static constexpr std::string_view nothing = "(unknown error code)";
  if (more != nullptr && *more != '\0' && more != nothing) text += std::string(" (") + more + ")";
  return text;
}

LdapResult::Policy policy_of(LDAP* handle, LDAPControl** controls) {
  LDAPControl* control = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, nullptr);
  ber_int_t expires_s = 0;
  ber_int_t logins_left = 0;
  LDAPPasswordPolicyError error = PP_noError;
  if (control == nullptr ||
      ldap_parse_passwordpolicy_control(handle, control, &expires_s, &logins_left, &error) != LDAP_SUCCESS) {
    return LdapResult::Policy::Nothing;
  }
  if (error == PP_accountLocked) return LdapResult::Policy::Locked;
  return error == PP_passwordExpired ? LdapResult::Policy::Expired : LdapResult::Policy::Nothing;
}

std::vector<Secret> values_of(LDAP* handle, LDAPMessage* entry, const std::string& attribute) {
  std::vector<Secret> values;
  berval** all = ldap_get_values_len(handle, entry, attribute.c_str());
  for (berval** value = all; value != nullptr && *value != nullptr; ++value) {
    values.emplace_back(std::string_view((*value)->bv_val, (*value)->bv_len));
    wipe((*value)->bv_val, (*value)->bv_len);
  }
  if (all != nullptr) ldap_value_free_len(all);
  return values;
}

}  // namespace

bool LdapResult::is_servers_fault() const {
  switch (code) {
    case LDAP_BUSY:
    case LDAP_UNAVAILABLE:
    case LDAP_SERVER_DOWN:
    case LDAP_LOCAL_ERROR:
    case LDAP_ENCODING_ERROR:
    case LDAP_DECODING_ERROR:
    case LDAP_TIMEOUT:
    case LDAP_CONNECT_ERROR: return true;
    default: return false;
  }
}

void LdapConnection::Close::operator()(LDAP* handle) const {
  ldap_unbind_ext(handle, nullptr, nullptr);
}

LdapResult LdapConnection::open(const Server& server, Instant deadline) {
  LDAP* handle = nullptr;
  if (const int code = ldap_initialize(&handle, server.uri.c_str()); code != LDAP_SUCCESS) {
    return {code, sentence(code, nullptr)};
  }
  handle_.reset(handle);
  if (LdapResult result = set_options(server); !result.ok()) return result;
  if (deadline_.attach(handle) != LDAP_OPT_SUCCESS) return {LDAP_LOCAL_ERROR, "libldap refuses a callback"};
  limit(deadline);
  if (const int code = ldap_connect(handle); code != LDAP_SUCCESS) return failure(code);
  return server.start_tls ? start_tls(deadline) : LdapResult{};
}

// All that matters is set here, because ldap.conf(5) and the environment could have said otherwise.
LdapResult LdapConnection::set_options(const Server& server) {
  const int version = LDAP_VERSION3;
  const int never = LDAP_DEREF_NEVER;
  const int demand = LDAP_OPT_X_TLS_HARD;
  const int oldest = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
  const int for_client = 0;
  struct Option {
    int option;
    const void* value;
  };
  const Option options[] = {{LDAP_OPT_PROTOCOL_VERSION, &version},
                            {LDAP_OPT_REFERRALS, LDAP_OPT_OFF},
                            {LDAP_OPT_RESTART, LDAP_OPT_ON},
                            {LDAP_OPT_DEREF, &never},
                            {LDAP_OPT_X_TLS_REQUIRE_CERT, &demand},
                            {LDAP_OPT_X_TLS_PROTOCOL_MIN, &oldest},
                            {LDAP_OPT_X_TLS_CACERTFILE, server.tls_ca.c_str()}};
  for (const Option& option : options) {
    if (ldap_set_option(handle_.get(), option.option, option.value) != LDAP_OPT_SUCCESS) {
      return {LDAP_LOCAL_ERROR, "libldap refuses the option " + std::to_string(option.option)};
    }
  }
  const bool uses_tls = server.start_tls || server.uri.starts_with("ldaps:");
  if (uses_tls && ldap_set_option(handle_.get(), LDAP_OPT_X_TLS_NEWCTX, &for_client) != LDAP_OPT_SUCCESS) {
    return {LDAP_CONNECT_ERROR, "tls_ca: " + server.tls_ca + " cannot be used as a file of certificates in PEM"};
  }
  return {};
}

LdapResult LdapConnection::start_tls(Instant deadline) {
  int message = 0;
  if (const int code = ldap_start_tls(handle_.get(), nullptr, nullptr, &message); code != LDAP_SUCCESS) {
    return failure(code);
  }
  LdapResult result = wait(message, deadline);
  if (!result.ok()) {
    // Without TLS this server must not be used, whatever its reason is.
    return {result.is_servers_fault() ? result.code : LDAP_CONNECT_ERROR, "StartTLS: " + result.text};
  }
  limit(deadline);
  if (const int code = ldap_install_tls(handle_.get()); code != LDAP_SUCCESS) {
    result = failure(code);
    return {LDAP_CONNECT_ERROR, "StartTLS: " + result.text};
  }
  return {};
}

LdapResult LdapConnection::bind(const std::string& dn, std::string_view password, Instant deadline) {
  if (dn.empty() || password.empty()) {
    return {LDAP_PARAM_ERROR, "a bind needs a name and a password that are not empty"};
  }
  char policy_oid[] = LDAP_CONTROL_PASSWORDPOLICYREQUEST;
  LDAPControl policy{policy_oid, {0, nullptr}, 0};
  LDAPControl* controls[] = {&policy, nullptr};
  berval credentials{password.size(), const_cast<char*>(password.data())};
  int message = 0;
  limit(deadline);
  const int code =
      ldap_sasl_bind(handle_.get(), dn.c_str(), LDAP_SASL_SIMPLE, &credentials, controls, nullptr, &message);
  return code == LDAP_SUCCESS ? wait(message, deadline) : failure(code);
}

LdapResult LdapConnection::search(const LdapSearch& search, std::vector<LdapFound>& found, Instant deadline) {
  std::vector<char*> names;
  for (const std::string& attribute : search.attributes)
    names.push_back(const_cast<char*>(attribute.c_str()));
  char no_attributes[] = LDAP_NO_ATTRS;
  if (names.empty()) names.push_back(no_attributes);
  names.push_back(nullptr);
  timeval left = time_left(deadline);
  int message = 0;
  limit(deadline);
  const int code = ldap_search_ext(handle_.get(), search.base.c_str(), scope_of(search.scope), search.filter.c_str(),
                                   names.data(), 0, nullptr, nullptr, &left, entries_max, &message);
  if (code != LDAP_SUCCESS) return failure(code);
  LDAPMessage* answer = nullptr;
  LdapResult result = wait(message, deadline, &answer);
  if (answer == nullptr) return result;
  for (LDAPMessage* entry = ldap_first_entry(handle_.get(), answer); entry != nullptr;
       entry = ldap_next_entry(handle_.get(), entry)) {
    LdapFound& one = found.emplace_back();
    char* dn = ldap_get_dn(handle_.get(), entry);
    one.dn = dn != nullptr ? dn : "";
    ldap_memfree(dn);
    for (const std::string& attribute : search.attributes)
      one.values.push_back(values_of(handle_.get(), entry, attribute));
  }
  ldap_msgfree(answer);
  return result;
}

LdapResult LdapConnection::wait(int message, Instant deadline, LDAPMessage** keep) {
  timeval left = time_left(deadline);
  LDAPMessage* answer = nullptr;
  const int type = ldap_result(handle_.get(), message, LDAP_MSG_ALL, &left, &answer);
  if (type == 0) {
    ldap_abandon_ext(handle_.get(), message, nullptr, nullptr);
    return {LDAP_TIMEOUT, too_late};
  }
  if (type < 0) {
    int code = LDAP_SERVER_DOWN;
    ldap_get_option(handle_.get(), LDAP_OPT_RESULT_CODE, &code);
    return failure(code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code);
  }
  LdapResult result;
  char* more = nullptr;
  LDAPControl** controls = nullptr;
  const int parsed = ldap_parse_result(handle_.get(), answer, &result.code, nullptr, &more, nullptr, &controls, 0);
  if (parsed != LDAP_SUCCESS) result.code = LDAP_DECODING_ERROR;
  if (!result.ok()) result.text = sentence(result.code, more);
  result.policy = policy_of(handle_.get(), controls);
  ldap_memfree(more);
  ldap_controls_free(controls);
  if (keep != nullptr) {
    *keep = answer;
  } else {
    ldap_msgfree(answer);
  }
  return result;
}

// For the next call of libldap: it connects, shakes hands and waits until then, no longer.
void LdapConnection::limit(Instant deadline) {
  deadline_.set(deadline);
  const timeval left = time_left(deadline);
  ldap_set_option(handle_.get(), LDAP_OPT_NETWORK_TIMEOUT, &left);
  ldap_set_option(handle_.get(), LDAP_OPT_TIMEOUT, &left);
}

LdapResult LdapConnection::failure(int code) const {
  // libldap calls it "can't contact".
  if (std::chrono::steady_clock::now() >= deadline_.get()) return {LDAP_TIMEOUT, too_late};
  char* more = nullptr;
  ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
  LdapResult result{code, sentence(code, more)};
  ldap_memfree(more);
  return result;
}

std::string ldap_escaped(std::string_view value) {
  static constexpr char digits[] = "0123456789abcdef";
  static constexpr std::string_view plain = "-._@";
  std::string text;
  for (const char c : value) {
    const bool is_plain =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || plain.find(c) != plain.npos;
    if (is_plain) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text.append({'\\', digits[byte >> 4], digits[byte & 15]});
    }
  }
  return text;
}

}  // namespace postern::helper
