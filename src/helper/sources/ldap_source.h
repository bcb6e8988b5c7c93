// SPDX-License-Identifier: GPL-3.0-or-later
// A directory (LDAP) as a source of users: it verifies passwords itself by a bind, or hands out their hashes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "helper/idle_pool.h"
#include "helper/sources/ldap_connection.h"
#include "helper/sources/ldap_options.h"
#include "helper/sources/server_order.h"
#include "helper/sources/source.h"

namespace postern::helper {

// Keeps the connections for searching, as many as there were questions at one time. A user's bind has a connection of its
// own each time: on one that is kept, a server may go on to accept an old password.
class LdapSource : public Source {
 public:
  explicit LdapSource(LdapOptions options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  // Without a password somebody has to be allowed to search.
  bool keeps_hashes() const override;
  absl::Status check() override;

 private:
  using Connection = std::unique_ptr<LdapConnection>;
  using Use = std::function<LdapResult(LdapConnection&, Instant deadline)>;

  // `use` on a fresh connection to the first server that is up to it.
  LdapResult on_a_server(const Use& use, Instant deadline, Connection* connection = nullptr);
  LdapResult search(const LdapSearch& search, std::vector<LdapFound>& found, Instant deadline);
  LdapResult search_on(LdapConnection& connection, const LdapSearch& search, std::vector<LdapFound>& found,
                       Instant deadline) const;

  LdapSearch search_for(const Asked& asked) const;
  Lookup look_up(const Asked& asked, std::vector<LdapFound>& found, Instant deadline);
  Lookup search_and_bind(const Asked& asked, Instant deadline);
  Lookup bind_directly(const Asked& asked, Instant deadline);
  SourceFailure failure(const LdapResult& result) const;
  absl::Status check_server(const LdapConnection::Server& server) const;

  const LdapOptions options_;
  const std::string name_;
  ServerOrder servers_;
  IdlePool<Connection> idle_;
};

}  // namespace postern::helper
