// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/proxy_header/reader.h"

#include <arpa/inet.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "protocol/line/word.h"

namespace postern::proxy_header {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view v1_signature = "PROXY "sv;
constexpr std::string_view v2_signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t v2_fixed_size = 16;
constexpr size_t tlv_fixed_size = 3;

using From = std::optional<std::variant<Local, Proxied>>;

uint16_t number16(std::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
}

bool begins_alike(std::string_view bytes, std::string_view signature) {
  const size_t size = std::min(bytes.size(), signature.size());
  return bytes.substr(0, size) == signature.substr(0, size);
}

Endpoint endpoint_v4(std::string_view address, uint16_t port) {
  Endpoint endpoint;
  memcpy(endpoint.address.data(), address.data(), 4);
  endpoint.port = port;
  return endpoint;
}

// By way of a sockaddr, which undoes the mapping of IPv4 into IPv6.
Endpoint endpoint_v6(std::string_view address, uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  memcpy(&in.sin6_addr, address.data(), 16);
  return Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in).value_or(Endpoint{});
}

// Decimal, without sign and leading zeros.
std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return port;
}

std::optional<Endpoint> endpoint_of(std::string_view address, std::string_view port_text, int family) {
  const std::optional<uint16_t> port = port_of(port_text);
  char binary[16];
  const std::string text(address);
  if (!port || text.find('\0') != text.npos || inet_pton(family, text.c_str(), binary) != 1) return std::nullopt;
  return family == AF_INET ? endpoint_v4({binary, 4}, *port) : endpoint_v6({binary, 16}, *port);
}

// `line` is what stands between the signature and CRLF.
From understand_v1(std::string_view line) {
  const std::string_view family_word = line::take_word(line);
  if (family_word == "UNKNOWN") return Local{};
  if (family_word != "TCP4" && family_word != "TCP6") return std::nullopt;
  const int family = family_word == "TCP4" ? AF_INET : AF_INET6;
  const std::string_view source_address = line::take_word(line);
  const std::string_view destination_address = line::take_word(line);
  const std::string_view source_port = line::take_word(line);
  const std::optional<Endpoint> source = endpoint_of(source_address, source_port, family);
  const std::optional<Endpoint> destination = endpoint_of(destination_address, line, family);
  if (!source || !destination) return std::nullopt;
  return Proxied{*source, *destination, false, {}, {}};
}

// Section 2.2.
enum TlvType : uint8_t { Authority = 0x02, Ssl = 0x20, SslVersion = 0x21 };
// In the first byte of Ssl's value: the mail program connected over TLS.
constexpr uint8_t client_ssl = 0x01;
constexpr size_t ssl_fixed_size = 5;
constexpr size_t text_size_max = 255;

// Type, length, value, one after the other; false: their lengths do not add up.
bool read_tlvs(std::string_view bytes, Proxied& proxied) {
  while (!bytes.empty()) {
    if (bytes.size() < tlv_fixed_size) return false;
    const size_t size = tlv_fixed_size + number16(bytes.substr(1));
    if (bytes.size() < size) return false;
    const auto type = static_cast<uint8_t>(bytes[0]);
    const std::string_view value = bytes.substr(tlv_fixed_size, size - tlv_fixed_size);
    bytes.remove_prefix(size);
    if (type == Authority) proxied.sni = line::one_line(value, text_size_max);
    if (type == SslVersion) proxied.tls_version = line::one_line(value, text_size_max);
    if (type != Ssl) continue;
    if (value.size() < ssl_fixed_size) return false;
    proxied.tls = (static_cast<uint8_t>(value[0]) & client_ssl) != 0;
    // TLVs of its own stand behind the fixed bytes; they hold no further Ssl.
    if (value.size() > ssl_fixed_size && static_cast<uint8_t>(value[ssl_fixed_size]) == Ssl) return false;
    if (!read_tlvs(value.substr(ssl_fixed_size), proxied)) return false;
  }
  return true;
}

// The byte of family and transport. A datagram can be no connection to us.
enum Kind : uint8_t { Unspec = 0x00, Tcp4 = 0x11, Tcp6 = 0x21, UnixStream = 0x31 };

std::optional<size_t> addresses_size(uint8_t kind) {
  switch (kind) {
    case Unspec: return 0;
    case Tcp4: return 12;
    case Tcp6: return 36;
    case UnixStream: return 216;
  }
  return std::nullopt;
}

// `rest` is what stands behind the fixed bytes.
From understand_v2(uint8_t version_and_command, uint8_t kind, std::string_view rest) {
  // LOCAL speaks of no other connection; whatever else stands in it does not count.
  if (version_and_command == 0x20) return Local{};
  const std::optional<size_t> size = addresses_size(kind);
  if (!size || rest.size() < *size) return std::nullopt;
  if (kind == Unspec) return Local{};
  Proxied proxied;
  if (!read_tlvs(rest.substr(*size), proxied)) return std::nullopt;
  if (kind == Tcp4) {
    proxied.source = endpoint_v4(rest, number16(rest.substr(8)));
    proxied.destination = endpoint_v4(rest.substr(4), number16(rest.substr(10)));
    return proxied;
  }
  if (kind == Tcp6) {
    proxied.source = endpoint_v6(rest, number16(rest.substr(32)));
    proxied.destination = endpoint_v6(rest.substr(16), number16(rest.substr(34)));
    return proxied;
  }
  return Local{};
}

}  // namespace

std::string_view bad_word(Bad bad) {
  switch (bad) {
    case Bad::NotAHeader: return "not-a-header";
    case Bad::TooLong: return "too-long";
    case Bad::Malformed: return "malformed";
  }
  return "";
}

Step Reader::feed(std::string_view bytes) {
  const size_t fed_before = bytes_.size();
  // Nothing beyond the largest header is ever looked at, so nothing beyond it is copied.
  bytes_.append(bytes.substr(0, v2_fixed_size + v2_rest_max - std::min(fed_before, v2_fixed_size + v2_rest_max)));
  if (begins_alike(bytes_, v1_signature)) return read_v1(fed_before);
  if (begins_alike(bytes_, v2_signature)) return read_v2(fed_before);
  return Bad::NotAHeader;
}

Step Reader::read_v1(size_t fed_before) {
  const std::string_view bytes = std::string_view(bytes_).substr(0, v1_size_max);
  const size_t newline = bytes.find('\n');
  if (newline == bytes.npos) {
    if (bytes.size() == v1_size_max) return Bad::TooLong;
    return NeedBytes{};
  }
  if (newline <= v1_signature.size() || bytes[newline - 1] != '\r') return Bad::Malformed;
  const From from = understand_v1(bytes.substr(v1_signature.size(), newline - 1 - v1_signature.size()));
  if (!from) return Bad::Malformed;
  return Header{*from, newline + 1 - fed_before};
}

Step Reader::read_v2(size_t fed_before) {
  const std::string_view bytes = bytes_;
  if (bytes.size() < v2_fixed_size) return NeedBytes{};
  const uint8_t version_and_command = static_cast<uint8_t>(bytes[12]);
  if (version_and_command != 0x20 && version_and_command != 0x21) return Bad::Malformed;
  const size_t rest_size = number16(bytes.substr(14));
  if (rest_size > v2_rest_max) return Bad::TooLong;
  if (bytes.size() < v2_fixed_size + rest_size) return NeedBytes{};
  const From from =
      understand_v2(version_and_command, static_cast<uint8_t>(bytes[13]), bytes.substr(v2_fixed_size, rest_size));
  if (!from) return Bad::Malformed;
  return Header{*from, v2_fixed_size + rest_size - fed_before};
}

}  // namespace postern::proxy_header
