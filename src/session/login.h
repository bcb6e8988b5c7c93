// SPDX-License-Identifier: GPL-3.0-or-later
// Login: all that a session needs from its greeting to its relay, in one place on the heap, gone when the relay begins.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "protocol/imap/back.h"
#include "protocol/imap/front.h"
#include "protocol/login.h"
#include "session/setup.h"

namespace postern::session {

struct Login {
  explicit Login(protocol::FrontOptions options) : front(std::move(options)) {}

  imap::Front front;
  std::string sni;                    // the name that the mail program asked for in its ClientHello
  protocol::Credentials credentials;  // of the attempt under way

  // Where to go, from the verdict.
  auth::Route route;
  const Pool* pool = nullptr;        // of the session's setup
  std::vector<Endpoint> candidates;  // in the order to try
  size_t candidate = 0;              // the one that is being tried
  std::unique_ptr<imap::Back> back;
  // What the last mail server said, for the mail program, should no other one let the user in.
  std::optional<protocol::Refusal> last_refusal;
};

}  // namespace postern::session
