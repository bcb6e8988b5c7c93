// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/endpoint.h"

#include <arpa/inet.h>
#include <string.h>

#include <algorithm>
#include <charconv>

namespace postern {
namespace {

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool parse_address(std::string_view text, Endpoint& endpoint) {
  char copy[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof copy) return false;
  memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  if (text.find('\0') != text.npos) return false;
  if (inet_pton(AF_INET, copy, endpoint.address.data()) == 1) return true;
  endpoint.v6 = true;
  return inet_pton(AF_INET6, copy, endpoint.address.data()) == 1;
}

// What stands before and behind the colon of the port; no port gives an empty second half.
struct Halves {
  std::string_view address, port;
  bool has_port = false;
};

std::optional<Halves> split(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) return std::nullopt;
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    return Halves{text.substr(1, close - 1), rest.empty() ? rest : rest.substr(1), !rest.empty()};
  }
  const size_t colon = text.find(':');
  // More than one colon without brackets is a bare IPv6 address.
  if (colon == text.npos || text.find(':', colon + 1) != text.npos) return Halves{text, {}, false};
  return Halves{text.substr(0, colon), text.substr(colon + 1), true};
}

}  // namespace

std::optional<Endpoint> Endpoint::parse(std::string_view text, uint16_t default_port) {
  const std::optional<Halves> halves = split(text);
  if (!halves) return std::nullopt;
  Endpoint endpoint;
  if (!parse_address(halves->address, endpoint)) return std::nullopt;
  if (text.starts_with('[') && !endpoint.v6) return std::nullopt;
  endpoint.port = default_port;
  if (halves->has_port) {
    const std::optional<uint16_t> port = parse_number<uint16_t>(halves->port);
    if (!port) return std::nullopt;
    endpoint.port = *port;
  }
  if (endpoint.port == 0) return std::nullopt;
  return endpoint;
}

std::optional<Endpoint> Endpoint::from_sockaddr(const sockaddr* address, socklen_t size) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    memcpy(&in, address, sizeof in);
    memcpy(endpoint.address.data(), &in.sin_addr, 4);
    endpoint.port = ntohs(in.sin_port);
    return endpoint;
  }
  if (address->sa_family != AF_INET6 || size < sizeof(sockaddr_in6)) return std::nullopt;
  sockaddr_in6 in;
  memcpy(&in, address, sizeof in);
  endpoint.port = ntohs(in.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    memcpy(endpoint.address.data(), in.sin6_addr.s6_addr + 12, 4);
    return endpoint;
  }
  endpoint.v6 = true;
  memcpy(endpoint.address.data(), &in.sin6_addr, 16);
  return endpoint;
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& storage) const {
  memset(&storage, 0, sizeof storage);
  if (!v6) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    memcpy(&in.sin_addr, address.data(), 4);
    memcpy(&storage, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  memcpy(&in.sin6_addr, address.data(), 16);
  memcpy(&storage, &in, sizeof in);
  return sizeof in;
}

std::string Endpoint::address_text() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(v6 ? AF_INET6 : AF_INET, address.data(), text, sizeof text);
  return text;
}

std::string Endpoint::text() const {
  const std::string host = address_text();
  const std::string number = std::to_string(port);
  return v6 ? "[" + host + "]:" + number : host + ":" + number;
}

std::optional<Network> Network::parse(std::string_view text) {
  const size_t slash = text.find('/');
  Network network;
  if (!parse_address(text.substr(0, slash), network.base)) return std::nullopt;
  const uint8_t bits_max = network.base.v6 ? 128 : 32;
  network.prefix_bits = bits_max;
  if (slash == text.npos) return network;
  const std::optional<uint8_t> bits = parse_number<uint8_t>(text.substr(slash + 1));
  if (!bits || *bits > bits_max) return std::nullopt;
  network.prefix_bits = *bits;
  return network;
}

bool Network::contains(const Endpoint& endpoint) const {
  if (endpoint.v6 != base.v6) return false;
  const size_t whole = prefix_bits / 8;
  if (memcmp(endpoint.address.data(), base.address.data(), whole) != 0) return false;
  const unsigned rest = prefix_bits % 8;
  if (rest == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (endpoint.address[whole] & mask) == (base.address[whole] & mask);
}

bool any_contains(const std::vector<Network>& networks, const Endpoint& endpoint) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(endpoint); });
}

}  // namespace postern
