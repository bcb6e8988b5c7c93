// SPDX-License-Identifier: GPL-3.0-or-later
// Login: all that a session needs from its greeting to its relay, in one place on the heap, gone when the relay begins.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "protocol/back.h"
#include "protocol/front.h"
#include "protocol/login.h"
#include "protocol/sasl/scram.h"
#include "session/setup.h"

namespace postern::session {

// What is known of the mail program's TLS, whether it ends here or at a load balancer that said so.
struct FrontTlsFacts {
  std::string sni;      // the name that it asked for
  std::string version;  // of a load balancer's TLS; empty: there is none, or it is ours
  auth::Question::Certificate certificate;
  std::vector<sasl::ChannelBinding> bindings;  // for SCRAM-SHA-256-PLUS, where the listener offers it
};

struct Login {
  explicit Login(std::unique_ptr<protocol::Front> made) : front(std::move(made)) {}

  std::unique_ptr<protocol::Front> front;
  FrontTlsFacts tls;
  protocol::Credentials credentials;       // of the attempt under way
  bool wants_keys = false;                 // the question out is for SCRAM's keys
  std::optional<auth::Route> scram_route;  // where to, if the proof is right

  // Where to go, from the verdict.
  auth::Route route;
  const Pool* pool = nullptr;        // of the session's setup
  std::vector<Endpoint> candidates;  // in the order to try
  size_t candidate = 0;              // the one that is being tried
  bool offers_session = true;        // false: it has refused its own TLS session
  std::unique_ptr<protocol::Back> back;
  // What the last mail server said, for the mail program, should no other one let the user in.
  std::optional<protocol::Refusal> last_refusal;
  Instant began{};           // the credentials came
  Instant step_began{};      // the question was put, a mail server chosen, or connected
  bool held = false;         // the user is moving: the route waits
  std::string counted_user;  // whose limit of sessions this one is counted under; empty: none
};

}  // namespace postern::session
