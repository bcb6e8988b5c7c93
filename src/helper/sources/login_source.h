// SPDX-License-Identifier: GPL-3.0-or-later
// A mail server as a source of users: whoever can log in there is a user.
#pragma once

#include <string>
#include <string_view>

#include "helper/curl.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct LoginOptions {
  enum class Protocol : uint8_t { Imap, Pop3, Smtp };
  enum class Tls : uint8_t { None, StartTls, Implicit };

  std::string server;  // "127.0.0.1:143", or a name with a port
  Protocol protocol = Protocol::Imap;
  Tls tls = Tls::None;
  std::string tls_name;  // the name in the server's certificate; empty: the server's own
  std::string tls_ca;    // the certificates that sign the server's; empty: the system's
};

LoginOptions read_login(TableReader& reader, SourceRules& rules);

// What a server's last words before it refused a login mean.
enum class LoginRefusal : uint8_t { Mismatch, NotAllowed, Failure };
LoginRefusal meaning_of(LoginOptions::Protocol protocol, std::string_view reply);

// A connection for each question: a login is a connection's only one.
class LoginSource : public Source {
 public:
  explicit LoginSource(LoginOptions options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  bool keeps_hashes() const override { return false; }
  absl::Status check() override;
  std::vector<std::string> advice() const override;

 private:
  // All but who logs in.
  void prepare(CURL* curl, const curl_slist* connect_to) const;

  const LoginOptions options_;
  const std::string name_;
  const std::string url_;
  const std::string host_, connect_to_;
};

}  // namespace postern::helper
