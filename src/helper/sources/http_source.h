// SPDX-License-Identifier: GPL-3.0-or-later
// An nginx `auth_http` daemon as a source of users: asked as nginx asks it.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"
#include "helper/curl.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct HttpOptions {
  WebPlace place{.url = "http://localhost/", .unix_socket = "", .tls_ca = ""};
  std::vector<Secret> headers;  // "X-Auth-Key: ...", behind the others; often a password
  bool tokens = false;          // ask with those of OAUTHBEARER and XOAUTH2 too
  bool checks_password = true;  // false: the daemon only says where, and the mail server verifies
};

HttpOptions read_http(TableReader& reader, SourceRules& rules);

// A connection for each question, as with nginx: daemons do not expect a second one.
class HttpSource : public Source {
 public:
  explicit HttpSource(HttpOptions options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  bool takes_tokens() const override { return options_.tokens; }
  bool keeps_hashes() const override { return false; }
  absl::Status check() override;
  std::vector<std::string> advice() const override;

 private:
  // The head of the daemon's answer to one question. A Status says why there is none.
  absl::StatusOr<Secret> ask_once(const CurlHeaders& headers, Duration time_left);
  Lookup admit(const Asked& asked, std::string_view told_user, const struct AuthHttpAnswer& answer) const;

  const HttpOptions options_;
  const std::string name_;
  const std::string host_;  // the Host header: as nginx writes it, without a port
  CurlPool pool_;
};

}  // namespace postern::helper
