// SPDX-License-Identifier: GPL-3.0-or-later
// The conversation of nginx's mail proxy with its `auth_http` daemon: what is said, and what is understood of the answer.
// Written to the byte as nginx does it, because daemons that work with nginx are to work here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/secret.h"
#include "helper/asked.h"
#include "helper/route.h"
#include "helper/sources/source.h"

namespace postern::helper {

// %XX for bytes up to the blank, and for the percent sign; all others as they are.
Secret escaped_for_auth_http(std::string_view bytes);

// Takes each header of the question in nginx's order. `user`: as the daemon is to hear it.
void say_auth_http(const Asked& asked, std::string_view user,
                   const std::function<void(std::string_view name, std::string_view value)>& header);

struct AuthHttpAnswer {
  enum class Status : uint8_t { Unsaid, Ok, Wait, Failure };

  Status status = Status::Unsaid;
  std::string text;  // of a failure, for the user
  std::string error_code;
  std::optional<uint32_t> wait_s;
  std::string server, port, user;
  Secret password;
  std::string master_user;  // from here on: what nginx does not know
  std::string tls_name, tls, mechanism, proxy_protocol, ttl;
};

// The header lines of an answer, with or without a status line, which says nothing.
AuthHttpAnswer parse_auth_http(std::string_view head);

// Of an answer with Status::Ok: where the user goes. A Status says which header is wrong.
absl::StatusOr<Route> route_of_auth_http(const AuthHttpAnswer& answer, bool has_default_back);

// Of an answer with Status::Failure: a refusal, or a failure where the daemon says that it is one of its own.
Lookup refusal_of_auth_http(const AuthHttpAnswer& answer);

}  // namespace postern::helper
