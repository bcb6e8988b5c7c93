// SPDX-License-Identifier: GPL-3.0-or-later
// ClientHelloReader: what OpenSSL's hellos say, and what malformed ones do (nothing).
#include "tls/client_hello.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "peer.h"
#include "tls/records.h"

namespace postern::tls::test {
namespace {

using Status = ClientHelloReader::Status;

std::string number(size_t value, int size) {
  std::string bytes;
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
    bytes += static_cast<char>(value >> shift);
  return bytes;
}
std::string vector(const std::string& bytes, int length_size) {
  return number(bytes.size(), length_size) + bytes;
}
std::string extension(size_t type, const std::string& body) {
  return number(type, 2) + vector(body, 2);
}
std::string record(const std::string& body) {
  return "\x16\x03\x01" + vector(body, 2);
}
std::string message(const std::string& body) {
  return "\x01" + vector(body, 3);
}
// Everything before the extensions.
std::string opening(const std::string& suites, size_t version = 0x0303) {
  return number(version, 2) + std::string(32, 'r') + vector("", 1) + vector(suites, 2) +
         vector(std::string(1, '\0'), 1);
}
std::string host(const std::string& name) {
  return extension(0, vector(std::string(1, '\0') + vector(name, 2), 2));
}

struct Heard {
  Status status = Status::NeedRecord;
  ClientHello hello;
};
Heard hear(const std::string& records) {
  ClientHelloReader reader;
  RecordReader cutter;
  std::span<const char> rest(records);
  Heard heard;
  while (heard.status == Status::NeedRecord) {
    const auto whole = cutter.next(rest);
    if (!whole) break;
    heard.status = reader.feed(*whole);
  }
  heard.hello = reader.hello();
  if (heard.status == Status::Done) {
    EXPECT_EQ(reader.records(), records);
  }
  return heard;
}
Heard hear(const std::string& opening_bytes, const std::string& extensions) {
  return hear(record(message(opening_bytes + vector(extensions, 2))));
}

Heard hear_openssl(const PeerSettings& settings) {
  Peer peer = Peer::mail_program(settings);
  peer.shake_hands();
  return hear(peer.take());
}

TEST(ClientHello, OfOpenSsl) {
  PeerSettings settings;
  settings.sni = "Mail.Example.TEST";
  settings.alpn = {"h2", "imap"};
  const Heard heard = hear_openssl(settings);
  ASSERT_EQ(heard.status, Status::Done);
  EXPECT_EQ(heard.hello.server_name, "mail.example.test");
  EXPECT_EQ(heard.hello.alpn, settings.alpn);
  EXPECT_EQ(heard.hello.version_max, 0x0304);
  EXPECT_TRUE(heard.hello.verifies_ecdsa);
}

TEST(ClientHello, OfOldOpenSsl) {
  PeerSettings settings;
  settings.sni = "";
  settings.max_version = TLS1_2_VERSION;
  Heard heard = hear_openssl(settings);
  ASSERT_EQ(heard.status, Status::Done);
  EXPECT_EQ(heard.hello.server_name, "");
  EXPECT_TRUE(heard.hello.alpn.empty());
  EXPECT_EQ(heard.hello.version_max, 0x0303);
  EXPECT_TRUE(heard.hello.verifies_ecdsa);

  settings.suites = "ECDHE-RSA-AES128-GCM-SHA256";
  heard = hear_openssl(settings);
  EXPECT_EQ(heard.status, Status::Done);
  EXPECT_FALSE(heard.hello.verifies_ecdsa);

  settings.suites = "";
  settings.signatures = "RSA+SHA256:RSA-PSS+SHA256";
  EXPECT_FALSE(hear_openssl(settings).hello.verifies_ecdsa);

  settings.min_version = settings.max_version = TLS1_VERSION;
  settings.signatures = "";
  EXPECT_EQ(hear_openssl(settings).hello.version_max, 0x0301);
}

// TLS 1.3 needs no suite of its own for ECDSA.
TEST(ClientHello, EcdsaByItsSignatureInTls13) {
  PeerSettings settings;
  settings.suites = "ECDHE-RSA-AES128-GCM-SHA256";
  EXPECT_TRUE(hear_openssl(settings).hello.verifies_ecdsa);
  settings.signatures = "RSA-PSS+SHA256:RSA+SHA256";
  EXPECT_FALSE(hear_openssl(settings).hello.verifies_ecdsa);
}

TEST(ClientHello, WithoutExtensions) {
  const Heard heard = hear(record(message(opening("\xc0\x2f", 0x0301))));
  EXPECT_EQ(heard.status, Status::Done);
  EXPECT_EQ(heard.hello.version_max, 0x0301);
  EXPECT_FALSE(heard.hello.verifies_ecdsa);
}

TEST(ClientHello, GreaseIsNoVersion) {
  const std::string versions = vector("\x7a\x7a\x03\x03\x03\x04", 1);
  EXPECT_EQ(hear(opening("\x13\x01"), extension(43, versions)).hello.version_max, 0x0304);
  const std::string only_grease = vector("\x7a\x7a", 1);
  EXPECT_EQ(hear(opening("\x13\x01"), extension(43, only_grease)).hello.version_max, 0x0303);
}

TEST(ClientHello, NameOfAnotherTypeIsSkipped) {
  const std::string names = std::string("\x07") + vector("junk", 2) + std::string(1, '\0') + vector("A.test", 2);
  EXPECT_EQ(hear(opening("\x13\x01"), extension(0, vector(names, 2))).hello.server_name, "a.test");
}

TEST(ClientHello, HostileNamesStayBytes) {
  EXPECT_EQ(hear(opening("\x13\x01"), host("")).hello.server_name, "");
  EXPECT_EQ(hear(opening("\x13\x01"), host(std::string("a\0\n\xff", 4))).hello.server_name,
            std::string("a\0\n\xff", 4));
  EXPECT_EQ(hear(opening("\x13\x01"), host(std::string(255, 'a'))).hello.server_name, std::string(255, 'a'));
  EXPECT_EQ(hear(opening("\x13\x01"), host(std::string(256, 'a'))).hello.server_name, "");
}

TEST(ClientHello, CountOfProtocolsIsBounded) {
  std::string names;
  for (int i = 0; i < 1000; ++i)
    names += vector("p" + std::to_string(i), 1);
  const Heard heard = hear(opening("\x13\x01"), extension(16, vector(names, 2)));
  EXPECT_EQ(heard.status, Status::Done);
  EXPECT_EQ(heard.hello.alpn.size(), 16u);
}

// Every prefix of a hello, framed as if it were whole, is malformed, and none reads beyond its end.
TEST(ClientHello, EveryTruncationIsMalformed) {
  PeerSettings settings;
  settings.alpn = {"imap"};
  Peer peer = Peer::mail_program(settings);
  peer.shake_hands();
  const std::string body = peer.take().substr(9);
  size_t done = 0;
  for (size_t size = 0; size < body.size(); ++size)
    done += hear(record(message(body.substr(0, size)))).status == Status::Done;
  EXPECT_EQ(done, 1u);  // the hello that ends where the extensions begin is one without extensions
}

TEST(ClientHello, WrongLengthsAreMalformed) {
  const std::string good = opening("\x13\x01");
  EXPECT_EQ(hear(good, extension(0, "\xff\xff")).status, Status::Malformed);
  EXPECT_EQ(hear(good, extension(13, std::string("\x00\x03\x04\x03\x08", 5))).status, Status::Malformed);
  EXPECT_EQ(hear(good, extension(16, std::string("\x00\x02\x05x", 4))).status, Status::Malformed);
  EXPECT_EQ(hear(good, extension(43, "\x09\x03\x04")).status, Status::Malformed);
  EXPECT_EQ(hear(good, number(99, 2) + number(50, 2)).status, Status::Malformed);
  EXPECT_EQ(hear(record(message(opening("\x13")))).status, Status::Malformed);
}

TEST(ClientHello, OtherRecordsAreMalformed) {
  EXPECT_EQ(hear("\x17\x03\x01" + vector("data", 2)).status, Status::Malformed);
  EXPECT_EQ(hear(record("\x02" + vector(opening("\x13\x01"), 3))).status, Status::Malformed);
}

TEST(ClientHello, AHelloThatNeverEndsIsTooLong) {
  EXPECT_EQ(hear(record("\x01" + number(ClientHelloReader::size_max + 1, 3))).status, Status::TooLong);
  // Promised legally, but sent in records of one byte or none.
  std::string flood = record("\x01" + number(16000, 3));
  for (int i = 0; i < 5000; ++i)
    flood += record("x");
  EXPECT_EQ(hear(flood).status, Status::TooLong);
  std::string empties = record("\x01");
  for (int i = 0; i < 5000; ++i)
    empties += record("");
  EXPECT_EQ(hear(empties).status, Status::TooLong);
}

TEST(VersionName, Words) {
  EXPECT_EQ(version_name(0x0300), "SSLv3");
  EXPECT_EQ(version_name(0x0301), "TLSv1.0");
  EXPECT_EQ(version_name(0x0302), "TLSv1.1");
  EXPECT_EQ(version_name(0x0303), "TLSv1.2");
  EXPECT_EQ(version_name(0x0304), "TLSv1.3");
  EXPECT_EQ(version_name(0x7f1c), "0x7f1c");
  EXPECT_EQ(version_name(0), "0x0000");
}

}  // namespace
}  // namespace postern::tls::test
