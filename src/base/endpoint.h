// SPDX-License-Identifier: GPL-3.0-or-later
// Endpoint: an IP address and a port, 20 bytes, of either family.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

struct Endpoint {
  // Network byte order; an IPv4 address uses the first four bytes, the rest are zero.
  std::array<uint8_t, 16> address{};
  uint16_t port = 0;  // host byte order
  bool v6 = false;

  // Reads "192.0.2.7:143", "[2001:db8::7]:143", and without a port "192.0.2.7", "[2001:db8::7]", "2001:db8::7": these
  // get `default_port`; where that is 0 the port must be written. Names, port 0 and anything else give nullopt.
  static std::optional<Endpoint> parse(std::string_view text, uint16_t default_port = 0);
  // An IPv4-mapped IPv6 address (what a dual-stack listener sees) becomes the plain IPv4 one. Other families: nullopt.
  static std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t size);

  // Fills `storage` and returns its used size.
  socklen_t to_sockaddr(sockaddr_storage& storage) const;
  // "192.0.2.7" or "2001:db8::7", without brackets.
  std::string address_text() const;
  // "192.0.2.7:143" or "[2001:db8::7]:143".
  std::string text() const;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const Endpoint& endpoint) {
    return H::combine(std::move(state), endpoint.address, endpoint.port, endpoint.v6);
  }
};

// An address range such as 10.0.0.0/8 or 2001:db8::/32; a bare address means that one host.
struct Network {
  Endpoint base;
  uint8_t prefix_bits = 0;

  static std::optional<Network> parse(std::string_view text);
  bool contains(const Endpoint& endpoint) const;
};

// Whether any of the ranges has it.
bool any_contains(const std::vector<Network>& networks, const Endpoint& endpoint);

}  // namespace postern
