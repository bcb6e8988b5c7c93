// SPDX-License-Identifier: GPL-3.0-or-later
// SASL, the same for every dialect: what the mail program and we say to each other between AUTHENTICATE and the
// verdict (RFC 4422).
//
// The dialect frames the lines, takes them out of its own wrapping and puts challenges into it. What it hands in and
// gets back is base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/scram_keys.h"
#include "protocol/login.h"
#include "protocol/sasl/scram.h"

namespace postern::sasl {

// Bytes of a base64 line that every dialect must take: RFC 4954, section 4, says 12288, and names tokens as the reason.
inline constexpr size_t line_size_max = 12288;

// What the connection brings.
struct Means {
  protocol::Mechanisms mechanisms;               // that are offered on it, now
  const Primitives* primitives = nullptr;        // SCRAM needs them
  std::vector<ChannelBinding> channel_bindings;  // empty where SCRAM-SHA-256-PLUS is not offered
};

// To be sent. Empty for a mechanism that has nothing to ask (PLAIN).
struct Challenge {
  std::string base64;
};

// The stored keys of a user are needed: go on with keys().
struct WantsKeys {
  std::string user;
  protocol::Mechanism mechanism = protocol::Mechanism::ScramSha256;
};

enum class Failure : uint8_t {
  BadBase64,  // not base64
  Cancelled,  // the line was "*"
  Malformed,  // base64, but not what the mechanism expects
  Empty,      // no user or no password: cannot be right, and nobody needs to be asked (RFC 4616, section 2)
};

using Step = std::variant<Challenge, WantsKeys, protocol::Credentials, Failure>;

// One authentication: begin(), then answer() for each line, and keys() when they are wanted, until it is neither
// Challenge nor WantsKeys any more.
class Exchange {
 public:
  // Nothing for a mechanism that `means` does not offer. `means` must outlive the exchange.
  static std::optional<Exchange> of(std::string_view mechanism, const Means& means);

  // `initial` is the initial response as it was sent: base64, or "=" for one that is there and empty (RFC 4959).
  Step begin(std::optional<std::string_view> initial);
  // `line` comes without its line end.
  Step answer(std::string_view line);
  // nullptr: the user is not known, or has no keys. Nobody can tell from outside.
  Step keys(const ScramKeys* keys);

 private:
  Exchange(protocol::Mechanism mechanism, const Means& means);
  Step understand(std::string& message);
  Step login(std::string_view message);
  Step external(std::string_view message);
  Step scram(std::string_view message);
  static Step checked(std::optional<protocol::Credentials> credentials);

  protocol::Mechanism mechanism_;
  std::optional<std::string> user_;  // LOGIN: the answer to the first challenge
  // On the heap: only SCRAM pays for it.
  std::unique_ptr<Scram> scram_;
  enum class ScramStep : uint8_t { First, Last, Proven } scram_step_ = ScramStep::First;
};

}  // namespace postern::sasl
