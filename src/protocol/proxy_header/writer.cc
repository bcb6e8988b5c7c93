// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/proxy_header/writer.h"

#include <string_view>

namespace postern::proxy_header {
namespace {

using std::string_view_literals::operator""sv;

// Section 2.2.
enum TlvType : uint8_t {
  Authority = 0x02,
  UniqueId = 0x05,
  Ssl = 0x20,
  SslVersion = 0x21,
  SslCipher = 0x23,
  User = 0xe0,  // from here to 0xef: for private use
};

constexpr size_t value_size_max = 255;  // longer than any name that comes here
constexpr size_t unique_id_size_max = 128;

void append_number16(std::string& out, size_t number) {
  out.push_back(static_cast<char>(number >> 8 & 0xff));
  out.push_back(static_cast<char>(number & 0xff));
}

void append_tlv(std::string& out, TlvType type, std::string_view value, size_t size_max = value_size_max) {
  if (value.empty() || value.size() > size_max) return;
  out.push_back(static_cast<char>(type));
  append_number16(out, value.size());
  out.append(value);
}

Endpoint mapped(Endpoint endpoint) {
  if (endpoint.v6) return endpoint;
  const std::array<uint8_t, 16> v4 = endpoint.address;
  endpoint.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]};
  endpoint.v6 = true;
  return endpoint;
}

std::string tlvs(const Told& told) {
  std::string out;
  append_tlv(out, Authority, told.sni);
  append_tlv(out, UniqueId, told.session_id, unique_id_size_max);
  append_tlv(out, User, told.user);
  if (!told.tls_version.empty()) {
    // The mail program came over TLS (bit 0); whether it showed a certificate is not told; nothing was verified (1).
    std::string ssl("\x01\x00\x00\x00\x01"sv);
    append_tlv(ssl, SslVersion, told.tls_version);
    append_tlv(ssl, SslCipher, told.tls_cipher);
    append_tlv(out, Ssl, ssl, 3 * value_size_max);
  }
  return out;
}

}  // namespace

std::string write_v1(const Endpoint& source, const Endpoint& destination) {
  const bool v6 = source.v6 || destination.v6;
  const Endpoint from = v6 ? mapped(source) : source;
  const Endpoint to = v6 ? mapped(destination) : destination;
  return std::string(v6 ? "PROXY TCP6 " : "PROXY TCP4 ") + from.address_text() + " " + to.address_text() + " " +
         std::to_string(from.port) + " " + std::to_string(to.port) + "\r\n";
}

std::string write_v2(const Endpoint& source, const Endpoint& destination, const Told& told) {
  const bool v6 = source.v6 || destination.v6;
  const Endpoint from = v6 ? mapped(source) : source;
  const Endpoint to = v6 ? mapped(destination) : destination;
  const size_t address_size = v6 ? 16 : 4;
  std::string rest;
  rest.append(reinterpret_cast<const char*>(from.address.data()), address_size);
  rest.append(reinterpret_cast<const char*>(to.address.data()), address_size);
  append_number16(rest, from.port);
  append_number16(rest, to.port);
  rest += tlvs(told);
  std::string header("\r\n\r\n\0\r\nQUIT\n\x21"sv);  // the signature; version 2, PROXY
  header.push_back(v6 ? '\x21' : '\x11');
  append_number16(header, rest.size());
  return header + rest;
}

}  // namespace postern::proxy_header
