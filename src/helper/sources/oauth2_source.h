// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens of OAuth 2: the issuer is asked about each (RFC 7662), or its signature is verified here (RFC 7519).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "helper/curl.h"
#include "helper/sources/key_ring.h"
#include "helper/sources/source.h"
#include "helper/sources/token_claims.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct OAuth2Options {
  WebPlace introspection;  // empty URL: signatures are verified
  std::string client_id;   // who asks there; empty: without a name
  Secret client_secret;
  KeyPlace keys;
  std::vector<std::string> algorithms{"RS256", "ES256"};
  TokenRules rules;
  bool passwords = false;  // what comes as a password may be a token too
};

OAuth2Options read_oauth2(TableReader& reader, SourceRules& rules);

class OAuth2Source : public Source {
 public:
  explicit OAuth2Source(OAuth2Options options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  bool takes_tokens() const override { return true; }
  bool takes_passwords() const override { return options_.passwords; }
  bool keeps_hashes() const override { return false; }
  absl::Status check() override;
  std::vector<std::string> advice() const override;

 private:
  // The claims of a token that is good as such. PermissionDenied: it is not, and why. Others: nobody can say.
  absl::StatusOr<std::string> introspect(std::string_view token);
  absl::StatusOr<std::string> verify(std::string_view token);
  Lookup admit(const Asked& asked, const TokenUser& user) const;

  const OAuth2Options options_;
  const std::string name_;
  CurlPool pool_;
  KeyRing keys_;
};

}  // namespace postern::helper
