// SPDX-License-Identifier: GPL-3.0-or-later
// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the side that verifies (RFC 5802, 7677, 9266).
//
// The keys are the helper's; the password never passes here. For a user whom the helper does not know, the exchange goes
// on with keys made up from his name, the same ones each time, and fails at its end: nobody can tell who exists.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/scram_keys.h"

namespace postern::sasl {

inline constexpr size_t sha256_size = 32;
using Sha256 = std::array<uint8_t, sha256_size>;

// The arithmetic of another folder (tls/), lent to this one.
struct Primitives {
  Sha256 (*sha256)(std::string_view text);
  Sha256 (*hmac_sha256)(std::string_view key, std::string_view text);
  void (*random)(std::span<char> bytes);
  // For made-up salts: secret, and the same as long as the program runs.
  std::string_view (*pepper)();
};

// One way to tie the login to its TLS connection: "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929).
struct ChannelBinding {
  std::string_view type;
  std::string bytes;
};

class Scram {
 public:
  Scram(const Primitives& primitives, std::span<const ChannelBinding> bindings, bool plus);

  // The mail program's first message; false: malformed, or a binding that we do not have. Then user() and authzid() say
  // whose keys are wanted.
  [[nodiscard]] bool first(std::string_view message);
  const std::string& user() const { return user_; }
  const std::string& authzid() const { return authzid_; }

  // Our first message. nullptr: the user is unknown or has no keys.
  std::string challenge(const ScramKeys* keys);

  enum class Proof : uint8_t { Right, Wrong, Malformed };
  // The mail program's last message.
  Proof last(std::string_view message);
  // Our last message, after Right: it proves to the mail program that we know the keys.
  std::string server_final() const { return server_final_; }

 private:
  bool read_header(std::string_view& message);

  const Primitives& primitives_;
  std::span<const ChannelBinding> bindings_;
  bool plus_;
  std::string header_;        // gs2-header, as it was sent
  std::string_view binding_;  // the bytes that must follow it in the last message
  std::string user_, authzid_;
  std::string first_bare_, server_first_, nonce_;
  Secret stored_key_, server_key_;
  bool known_ = false;
  std::string server_final_;
};

}  // namespace postern::sasl
