// SPDX-License-Identifier: GPL-3.0-or-later
// Facts: what a session shows of itself to the administrator. No secret is among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/endpoint.h"
#include "session/dialect.h"

namespace postern::session {

// How a session is named everywhere: sixteen hexadecimal digits.
std::string text_of_id(uint64_t id);

struct Facts {
  uint64_t id = 0;
  std::string_view state;
  Dialect dialect = Dialect::Imap;
  std::string user;  // as the mail program gave it; empty: not known yet
  Endpoint front;
  Endpoint local;
  std::optional<Endpoint> back;  // where it is connected, or is being connected
  std::string_view front_tls;    // "TLSv1.3"; empty: in clear here
  std::string_view back_tls;
  Duration age{0};
  Duration silence{0};     // of a relay: since the last byte in either direction
  uint64_t bytes_in = 0;   // plaintext from the mail program
  uint64_t bytes_out = 0;  // and to it
};

}  // namespace postern::session
