// SPDX-License-Identifier: GPL-3.0-or-later
// Subject: whom an attempt is counted for. DigestKey: names and passwords as numbers that say nothing without the key.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "base/secret.h"

namespace postern::helper {

// One IPv4 address, or the /64 that one IPv6 customer has at least.
struct Subnet {
  std::array<uint8_t, 8> bytes{};
  bool v6 = false;

  static Subnet of(const Endpoint& client);
  // "203.0.113.7/32", "2001:db8:0:1::/64".
  std::string text() const;
  friend bool operator==(const Subnet&, const Subnet&) = default;
};

// A user in 16 bytes, however long he says his name is.
using UserId = std::array<uint8_t, 16>;

struct Subject {
  std::string_view user;  // lives as long as the attempt
  UserId id{};
  std::optional<Subnet> network;  // nothing: the gate did not say
};

class DigestKey {
 public:
  // Random.
  DigestKey();
  // The same for all who have the same secret.
  explicit DigestKey(const Secret& shared);

  UserId user(std::string_view user) const;
  // Of the user's password: one password tried for two users are two guesses.
  uint64_t password(std::string_view user, std::string_view password) const;

 private:
  Secret key_;
};

// What others than this process may see of a digest, in hexadecimal: enough to tell a few dozen wrong passwords apart,
// far too little to find out which one it was.
std::string short_digest(uint64_t digest);

}  // namespace postern::helper
