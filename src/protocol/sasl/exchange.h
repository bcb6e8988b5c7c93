// SPDX-License-Identifier: GPL-3.0-or-later
// SASL, the same for every dialect: what the mail program and we say to each other between AUTHENTICATE and the
// verdict.
//
// The dialect frames the lines, takes them out of its own wrapping and puts challenges into it. What it hands in and
// gets back is base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/login.h"

namespace postern::sasl {

// Bytes of a base64 line that every dialect must take: RFC 4954, section 4, says 12288, and names tokens as the reason.
inline constexpr size_t line_size_max = 12288;

// To be sent. Empty for a mechanism that has nothing to ask (PLAIN). Static text.
struct Challenge {
  std::string_view base64;
};

enum class Failure : uint8_t {
  BadBase64,  // not base64
  Cancelled,  // the line was "*"
  Malformed,  // base64, but not what the mechanism expects
  Empty,      // no user or no password: cannot be right, and nobody needs to be asked (RFC 4616, section 2)
};

using Step = std::variant<Challenge, protocol::Credentials, Failure>;

// One authentication: begin(), then answer() for each line until it is no Challenge any more.
class Exchange {
 public:
  // "PLAIN" or "LOGIN" in any case; nothing for other mechanisms.
  static std::optional<Exchange> of(std::string_view mechanism);

  // `initial` is the initial response as it was sent: base64, or "=" for one that is there and empty (RFC 4959).
  Step begin(std::optional<std::string_view> initial);
  // `line` comes without its line end.
  Step answer(std::string_view line);

 private:
  explicit Exchange(protocol::Mechanism mechanism) : mechanism_(mechanism) {}
  Step understand(std::string& message);
  Step plain(std::string_view message);
  Step login(std::string_view message);

  protocol::Mechanism mechanism_;
  std::optional<std::string> user_;  // LOGIN: the answer to the first challenge
};

// The one message of PLAIN for a mail server, in base64: `authzid` may be empty. None of the three may hold NUL.
Secret plain_message(std::string_view authzid, std::string_view user, std::string_view password);

}  // namespace postern::sasl
