// SPDX-License-Identifier: GPL-3.0-or-later
// LdapConnection: one connection to one directory server (RFC 4511), made by libldap. Whatever it does ends at the
// deadline that comes with it, whether or not the server answers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "helper/sources/ldap_deadline.h"

namespace postern::helper {

// What came of an operation.
struct LdapResult {
  // What a server with a password policy says besides (draft-behera-ldap-password-policy, section 6.2).
  enum class Policy : uint8_t { Nothing, Locked, Expired };

  int code = 0;      // RFC 4511, section 4.1.9; below zero: libldap's own
  std::string text;  // for the log; empty where all is well
  Policy policy = Policy::Nothing;

  bool ok() const { return code == 0; }
  // It may be the server's own trouble, so another one may do better; this connection is of no use any more.
  bool is_servers_fault() const;
};

struct LdapSearch {
  enum class Scope : uint8_t { Base, One, Subtree };

  std::string base;
  Scope scope = Scope::Subtree;
  std::string filter;                   // RFC 4515
  std::vector<std::string> attributes;  // empty: none
};

struct LdapFound {
  std::string dn;
  std::vector<std::vector<Secret>> values;  // as many lists as attributes were asked for, and in their order
};

class LdapConnection {
 public:
  struct Server {
    std::string uri;  // "ldap://...", "ldaps://..." or "ldapi://..."
    bool start_tls = false;
    std::string tls_ca;  // a file of certificates in PEM
  };

  LdapConnection() = default;
  LdapConnection(const LdapConnection&) = delete;
  LdapConnection& operator=(const LdapConnection&) = delete;

  // Connects, and protects the connection as `server` says; the server's certificate is always verified.
  LdapResult open(const Server& server, Instant deadline);
  // A simple bind. Never sends an empty name or password: servers answer those with a yes that means nobody (RFC 4513,
  // sections 5.1.1 and 5.1.2).
  LdapResult bind(const std::string& dn, std::string_view password, Instant deadline);
  // At most two entries: whoever gets two knows enough. Referrals are not followed.
  LdapResult search(const LdapSearch& search, std::vector<LdapFound>& found, Instant deadline);

 private:
  struct Close {
    void operator()(LDAP* handle) const;
  };

  LdapResult set_options(const Server& server);
  LdapResult start_tls(Instant deadline);
  // The answer to `message`, and what it says; `keep` gets all of it.
  LdapResult wait(int message, Instant deadline, LDAPMessage** keep = nullptr);
  void limit(Instant deadline);
  LdapResult failure(int code) const;

  LdapDeadline deadline_;  // outlives the handle, which calls it
  std::unique_ptr<LDAP, Close> handle_;
};

// `value` for a filter or a DN: every byte that could mean something there is \XX, which both RFC 4515, section 3, and
// RFC 4514, section 2.4, allow for any byte.
std::string ldap_escaped(std::string_view value);

}  // namespace postern::helper
