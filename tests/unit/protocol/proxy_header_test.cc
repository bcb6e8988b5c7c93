// SPDX-License-Identifier: GPL-3.0-or-later
// PROXY headers, whole and in every cut, with and without bytes glued behind them: what they say, and exactly how many
// bytes are theirs.
#include "protocol/proxy_header/reader.h"

#include <gtest/gtest.h>

#include "play.h"
#include "protocol/proxy_header/writer.h"

namespace postern::proxy_header {
namespace {

using std::string_literals::operator""s;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(std::string_view version_and_family, std::string_view rest) {
  std::string header = signature;
  header.append(version_and_family);
  header.push_back(static_cast<char>(rest.size() >> 8));
  header.push_back(static_cast<char>(rest.size() & 0xff));
  return header.append(rest);
}

// What the reader says in the end, and the bytes that it left.
std::string read(const std::vector<std::string_view>& pieces) {
  Reader reader;
  std::string said = "more";
  std::string left;
  for (const std::string_view piece : pieces) {
    if (said != "more") {
      left += piece;
      continue;
    }
    const Step step = reader.feed(piece);
    if (const Bad* bad = std::get_if<Bad>(&step)) return std::string(bad_word(*bad));
    const Header* header = std::get_if<Header>(&step);
    if (header == nullptr) continue;
    const Proxied* proxied = std::get_if<Proxied>(&header->from);
    said = proxied == nullptr ? "local" : proxied->source.text() + " to " + proxied->destination.text();
    left = piece.substr(header->consumed);
  }
  return left.empty() ? said : said + ", left " + left;
}

std::string in_every_cut(std::string_view bytes) {
  std::string first;
  for (const auto& pieces : test::all_cuts(bytes)) {
    const std::string said = read(pieces);
    if (first.empty()) first = said;
    if (said != first) return "\"" + first + "\" or \"" + said + "\"";
  }
  return first;
}

TEST(ProxyHeader, Version1) {
  const std::pair<std::string, std::string> headers[] = {
      {"PROXY TCP4 192.0.2.7 192.0.2.1 40000 993\r\n", "192.0.2.7:40000 to 192.0.2.1:993"},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 0 65535\r\n", "192.0.2.7:0 to 192.0.2.1:65535"},
      {"PROXY TCP6 2001:db8::7 2001:db8::1 40000 993\r\n", "[2001:db8::7]:40000 to [2001:db8::1]:993"},
      {"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 40000 993\r\n", "192.0.2.7:40000 to 192.0.2.1:993"},
      {"PROXY UNKNOWN\r\n", "local"},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "local"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 to [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
  };
  for (const auto& [header, said] : headers) {
    EXPECT_EQ(in_every_cut(header), said) << header;
    EXPECT_EQ(in_every_cut(header + "\x16\x03\x01\nmore"), said + ", left \x16\x03\x01\nmore") << header;
    EXPECT_EQ(in_every_cut(header.substr(0, header.size() - 1)), "more") << header;
  }
}

TEST(ProxyHeader, Version1Malformed) {
  for (const char* header :
       {"PROXY \r\n", "PROXY \n", "PROXY TCP4\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 40000 993\n", "PROXY TCP4 192.0.2.7 192.0.2.1 40000 993 \r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 40000 993 x\r\n", "PROXY TCP4  192.0.2.7 192.0.2.1 40000 993\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 040000 993\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 993\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 -1 993\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 +1 993\r\n",
        "PROXY TCP4 192.0.2 192.0.2.1 40000 993\r\n", "PROXY TCP4 ::1 ::1 40000 993\r\n",
        "PROXY TCP6 192.0.2.7 192.0.2.1 40000 993\r\n", "PROXY UDP4 192.0.2.7 192.0.2.1 40000 993\r\n",
        "PROXY tcp4 192.0.2.7 192.0.2.1 40000 993\r\n", "PROXY TCP4 mail.example.test 192.0.2.1 40000 993\r\n"}) {
    EXPECT_EQ(in_every_cut(header), "malformed") << header;
  }
  EXPECT_EQ(in_every_cut("PROXY TCP4 192.0.2.7\0 192.0.2.1 40000 993\r\n"s), "malformed");
}

TEST(ProxyHeader, Version1HasItsLimit) {
  const std::string longest = "PROXY UNKNOWN " + std::string(v1_size_max - 16, 'x') + "\r\n";
  ASSERT_EQ(longest.size(), v1_size_max);
  EXPECT_EQ(in_every_cut(longest), "local");
  EXPECT_EQ(in_every_cut("PROXY UNKNOWN " + std::string(v1_size_max - 15, 'x') + "\r\n"), "too-long");
  EXPECT_EQ(in_every_cut("PROXY TCP4 " + std::string(200, '1')), "too-long");
}

const std::string tcp4 = "\xc0\x00\x02\x07\xc0\x00\x02\x01\x9c\x40\x03\xe1"s;
const std::string tcp6 =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x40\x03\xe1"s;
const std::string mapped =
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x9c\x40\x03\xe1"s;

TEST(ProxyHeader, Version2) {
  const std::pair<std::string, std::string> headers[] = {
      {v2("\x21\x11", tcp4), "192.0.2.7:40000 to 192.0.2.1:993"},
      {v2("\x21\x21", tcp6), "[2001:db8::7]:40000 to [2001:db8::1]:993"},
      {v2("\x21\x21", mapped), "192.0.2.7:40000 to 192.0.2.1:993"},
      {v2("\x21\x11", tcp4 + "\x02\x00\x04mail\x04\x00\x00"s), "192.0.2.7:40000 to 192.0.2.1:993"},
      {v2("\x21\x31", std::string(216, '/')), "local"},
      {v2("\x21\x00"s, ""), "local"},
      {v2("\x21\x00"s, "whatever"), "local"},
      {v2("\x20\x00"s, ""), "local"},
      {v2("\x20\x11", "odd"), "local"},
      {v2("\x21\x11", tcp4 + "\xe0\x0f\xf1"s + std::string(v2_rest_max - 15, 'x')), "192.0.2.7:40000 to 192.0.2.1:993"},
  };
  for (const auto& [header, said] : headers) {
    EXPECT_EQ(in_every_cut(header), said);
    EXPECT_EQ(in_every_cut(header + "\x16\x03\x01"), said + ", left \x16\x03\x01");
    EXPECT_EQ(in_every_cut(header.substr(0, header.size() - 1)), "more");
  }
}

TEST(ProxyHeader, Version2Malformed) {
  const std::string headers[] = {
      v2("\x11\x11", tcp4),                        // version 1 in binary
      v2("\x22\x11", tcp4),                        // no such command
      v2("\x21\x12", tcp4),                        // UDP
      v2("\x21\x41", tcp4),                        // no such family
      v2("\x21\x11", tcp4.substr(1)),              // addresses cut short
      v2("\x21\x21", tcp4),                        // IPv4 addresses where IPv6 ones should be
      v2("\x21\x31", tcp6),                        // no Unix addresses
      v2("\x21\x11", tcp4 + "\x02"),               // half a TLV
      v2("\x21\x11", tcp4 + "\x02\x00\x05mail"s),  // a TLV that is longer than the header
      v2("\x21\x11", tcp4 + "\x02\xff\xff"),       // much longer
  };
  for (const std::string& header : headers)
    EXPECT_EQ(in_every_cut(header), "malformed");
}

TEST(ProxyHeader, Version2HasItsLimit) {
  EXPECT_EQ(in_every_cut(signature + "\x21\x11\xff\xff\xc0\0\x02\x07"s), "too-long");
  EXPECT_EQ(in_every_cut(signature + "\x21\x11\x10\x01"s), "too-long");
}

// A direct connection is found out at its first byte that differs, not when 16 bytes have come.
TEST(ProxyHeader, IsNoHeader) {
  for (const std::string& bytes :
       {"\x16\x03\x01\x02\0\x01"s, "a1 NOOP\r\n"s, "PROXX"s, "proxy "s, "\r\n\r\nx"s, "\0"s, "\r\n\r\n\0\r\nQUIT\r"s}) {
    EXPECT_EQ(in_every_cut(bytes), "not-a-header") << bytes;
  }
  EXPECT_EQ(in_every_cut("PROXY"), "more");
  EXPECT_EQ(in_every_cut("\r\n\r\n"), "more");
}

// What we write is what we read.
TEST(Writer, WritesBothVersions) {
  const Endpoint v4 = *Endpoint::parse("203.0.113.7:4711"), v4_local = *Endpoint::parse("192.0.2.1:993");
  const Endpoint v6 = *Endpoint::parse("[2001:db8::7]:4711"), v6_local = *Endpoint::parse("[2001:db8::1]:993");
  EXPECT_EQ(write_v1(v4, v4_local), "PROXY TCP4 203.0.113.7 192.0.2.1 4711 993\r\n");
  EXPECT_EQ(write_v1(v6, v6_local), "PROXY TCP6 2001:db8::7 2001:db8::1 4711 993\r\n");
  EXPECT_EQ(write_v1(v6, v4_local), "PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 4711 993\r\n");
  const Told told{"mail.example.test", "TLSv1.3", "TLS_AES_128_GCM_SHA256", "joe", "9f2c"};
  for (const auto& [source, destination] :
       {std::pair(v4, v4_local), std::pair(v6, v6_local), std::pair(v6, v4_local)}) {
    for (const std::string& written : {write_v1(source, destination), write_v2(source, destination, told)}) {
      Reader reader;
      const Step step = reader.feed(written + "behind");
      ASSERT_TRUE(std::holds_alternative<Header>(step));
      const auto& header = std::get<Header>(step);
      EXPECT_EQ(header.consumed, written.size());
      const auto& proxied = std::get<Proxied>(header.from);
      EXPECT_EQ(proxied.source, source);
      EXPECT_EQ(proxied.destination, destination);
      const bool second = !written.starts_with("PROXY");
      EXPECT_EQ(proxied.tls, second);
      EXPECT_EQ(proxied.tls_version, second ? "TLSv1.3" : "");
      EXPECT_EQ(proxied.sni, second ? "mail.example.test" : "");
    }
  }
  EXPECT_NE(write_v2(v4, v4_local, told).find("joe"), std::string::npos);
  Reader reader;
  const Step bare = reader.feed(write_v2(v4, v4_local, {}));
  EXPECT_FALSE(std::get<Proxied>(std::get<Header>(bare).from).tls);
}

}  // namespace
}  // namespace postern::proxy_header
