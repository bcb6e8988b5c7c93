// SPDX-License-Identifier: GPL-3.0-or-later
// Handshakes with an OpenSSL mail program: versions, suites, certificates, protocols, and every way to be refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

// Both directions, small and larger than a record.
void expect_data_flows(Peer& peer, Gate& gate) {
  const std::string large(50000, 'x');
  for (const std::string& text : {std::string("a1 NOOP\r\n"), large}) {
    ASSERT_TRUE(peer.write(text));
    converse(peer, gate);
    EXPECT_EQ(gate.read(), text);
    ASSERT_TRUE(gate.write(text));
    converse(peer, gate);
    EXPECT_EQ(peer.read(), text);
  }
  EXPECT_TRUE(gate.holds_nothing());
}

struct Combination {
  const char* name;
  int version;
  KeyKind key;
  const char* suite;   // OpenSSL's name
  const char* cipher;  // ours
  const char* group;
};

class Combinations : public ::testing::TestWithParam<Combination> {};

TEST_P(Combinations, ShakeHandsAndCarryData) {
  const Combination& wanted = GetParam();
  TicketKeys tickets;
  const auto front = front_of({authority().issue({.dns = {"mail.example.test"}, .key = wanted.key})}, tickets);
  PeerSettings settings;
  settings.min_version = settings.max_version = wanted.version;
  (wanted.version == TLS1_3_VERSION ? settings.suites13 : settings.suites) = wanted.suite;
  settings.groups = wanted.group;
  Peer peer = Peer::mail_program(settings);
  Gate gate(*front);
  converse(peer, gate);
  ASSERT_TRUE(peer.done());
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(gate.failure(), Failure::None);
  EXPECT_EQ(gate.channel().version(), wanted.version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
  EXPECT_EQ(gate.channel().cipher(), wanted.cipher);
  EXPECT_FALSE(gate.channel().resumed());
  EXPECT_EQ(peer.shown_ecdsa(), wanted.key != KeyKind::Rsa2048);
  expect_data_flows(peer, gate);
}

INSTANTIATE_TEST_SUITE_P(
    All, Combinations,
    ::testing::Values(Combination{"Tls13Aes128", TLS1_3_VERSION, KeyKind::EcdsaP256, "TLS_AES_128_GCM_SHA256",
                                  "TLS_AES_128_GCM_SHA256", "X25519:P-256"},
                      Combination{"Tls13Aes256", TLS1_3_VERSION, KeyKind::EcdsaP256, "TLS_AES_256_GCM_SHA384",
                                  "TLS_AES_256_GCM_SHA384", "P-256"},
                      Combination{"Tls13ChaCha", TLS1_3_VERSION, KeyKind::EcdsaP256, "TLS_CHACHA20_POLY1305_SHA256",
                                  "TLS_CHACHA20_POLY1305_SHA256", "X25519:P-256"},
                      Combination{"Tls13P384", TLS1_3_VERSION, KeyKind::EcdsaP384, "TLS_AES_128_GCM_SHA256",
                                  "TLS_AES_128_GCM_SHA256", "P-384"},
                      Combination{"Tls13Rsa", TLS1_3_VERSION, KeyKind::Rsa2048, "TLS_AES_128_GCM_SHA256",
                                  "TLS_AES_128_GCM_SHA256", "X25519:P-256"},
                      Combination{"Tls12EcdsaAes128", TLS1_2_VERSION, KeyKind::EcdsaP256,
                                  "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "X25519:P-256"},
                      Combination{"Tls12EcdsaAes256", TLS1_2_VERSION, KeyKind::EcdsaP256,
                                  "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "P-256"},
                      Combination{"Tls12EcdsaChaCha", TLS1_2_VERSION, KeyKind::EcdsaP256,
                                  "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305", "X25519:P-256"},
                      Combination{"Tls12RsaAes128", TLS1_2_VERSION, KeyKind::Rsa2048, "ECDHE-RSA-AES128-GCM-SHA256",
                                  "ECDHE-RSA-AES128-GCM-SHA256", "X25519:P-256"},
                      Combination{"Tls12RsaAes256", TLS1_2_VERSION, KeyKind::Rsa2048, "ECDHE-RSA-AES256-GCM-SHA384",
                                  "ECDHE-RSA-AES256-GCM-SHA384", "P-256"},
                      Combination{"Tls12RsaChaCha", TLS1_2_VERSION, KeyKind::Rsa2048, "ECDHE-RSA-CHACHA20-POLY1305",
                                  "ECDHE-RSA-CHACHA20-POLY1305", "X25519:P-256"}),
    [](const auto& test) { return test.param.name; });

// The first key share is of a group that the gate's library lacks, so a HelloRetryRequest follows.
TEST(Handshake, AsksForAnotherKeyShare) {
  PeerSettings settings;
  settings.groups = "X448:P-256";
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  expect_data_flows(peer, gate);
}

TEST(Handshake, PrefersTheProcessorsCipher) {
  PeerSettings settings;
  settings.suites13 = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(peer, gate);
  EXPECT_EQ(gate.channel().cipher(), "TLS_AES_128_GCM_SHA256");
}

class Versions : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Both, Versions, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

PeerSettings only(int version) {
  PeerSettings settings;
  settings.min_version = settings.max_version = version;
  return settings;
}

// Feeds `bytes` in two pieces, cut at `place`.
void feed_cut(Gate& gate, const std::string& bytes, size_t place) {
  gate.feed(std::string_view(bytes).substr(0, place));
  if (place < bytes.size()) gate.feed(std::string_view(bytes).substr(place));
}

// Every flight of the mail program is cut at byte 1, then every flight at byte 2, and so on past the longest.
TEST_P(Versions, EveryCutIsTheSame) {
  size_t longest = 1;
  for (size_t place = 0; place <= longest; ++place) {
    SCOPED_TRACE(place);
    Peer peer = Peer::mail_program(only(GetParam()));
    Gate gate(plain_front());
    for (int flight = 0; flight < 4 && !gate.done(); ++flight) {
      peer.shake_hands();
      // The first command travels in one flight with Finished.
      if (peer.done()) {
        ASSERT_TRUE(peer.write("a1 CAPABILITY\r\n"));
      }
      const std::string bytes = peer.take();
      longest = std::max(longest, bytes.size());
      feed_cut(gate, bytes, place);
      peer.feed(gate.take());
    }
    ASSERT_TRUE(gate.done());
    // TLS 1.2: the mail program's Finished is not the last message, so its command comes now.
    if (GetParam() == TLS1_2_VERSION) {
      peer.shake_hands();
      ASSERT_TRUE(peer.write("a1 CAPABILITY\r\n"));
      feed_cut(gate, peer.take(), place);
    }
    ASSERT_EQ(gate.read(), "a1 CAPABILITY\r\n");
    ASSERT_EQ(gate.failure(), Failure::None);
    ASSERT_TRUE(gate.holds_nothing());
  }
  EXPECT_GT(longest, 150u);
}

TEST_P(Versions, SingleBytesAreEnough) {
  Peer peer = Peer::mail_program(only(GetParam()));
  Gate gate(plain_front());
  converse(peer, gate, 1);
  ASSERT_TRUE(gate.done());
  ASSERT_TRUE(peer.write("a1 NOOP\r\n"));
  ASSERT_TRUE(gate.write("* OK ready\r\n"));
  converse(peer, gate, 1);
  EXPECT_EQ(gate.read(), "a1 NOOP\r\n");
  EXPECT_EQ(peer.read(), "* OK ready\r\n");
}

// A hello that is spread over many records (legal: RFC 8446, section 5.1).
TEST_P(Versions, HelloOfManyRecords) {
  Peer peer = Peer::mail_program(only(GetParam()));
  Gate gate(plain_front());
  peer.shake_hands();
  const std::string whole = peer.take();
  for (size_t at = 5; at < whole.size(); at += 20) {
    const std::string piece = whole.substr(at, 20);
    gate.feed(std::string("\x16\x03\x01\x00", 4) + static_cast<char>(piece.size()) + piece);
  }
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(gate.hello().server_name, "mail.example.test");
  expect_data_flows(peer, gate);
}

TEST_P(Versions, AlpnIsAnsweredWhenOursIsOffered) {
  PeerSettings settings = only(GetParam());
  settings.alpn = {"h2", "imap"};
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(peer.alpn(), "imap");
  EXPECT_EQ(gate.hello().alpn, (std::vector<std::string>{"h2", "imap"}));
  expect_data_flows(peer, gate);
}

TEST_P(Versions, NoAlpnIsFine) {
  Peer peer = Peer::mail_program(only(GetParam()));
  Gate gate(plain_front());
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(peer.alpn(), "");
}

TEST_P(Versions, WrongAlpnIsRefusedWithItsAlert) {
  PeerSettings settings = only(GetParam());
  settings.alpn = {"h2", "http/1.1"};
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(peer, gate);
  EXPECT_FALSE(gate.done());
  EXPECT_FALSE(peer.done());
  EXPECT_EQ(gate.failure(), Failure::WrongProtocol);
  EXPECT_EQ(peer.alert(), "no application protocol");
}

TEST(Handshake, TooOldVersionIsRefusedWithItsAlert) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    Peer peer = Peer::mail_program(only(version));
    Gate gate(plain_front());
    converse(peer, gate);
    EXPECT_FALSE(gate.done());
    EXPECT_EQ(gate.failure(), Failure::VersionTooOld) << gate.channel().library_error();
    EXPECT_EQ(peer.alert(), "protocol version");
    EXPECT_EQ(gate.hello().version_max, version);
    EXPECT_EQ(version_name(gate.hello().version_max), version == TLS1_VERSION ? "TLSv1.0" : "TLSv1.1");
  }
}

TEST(Handshake, MinimumOfTls13RefusesTls12) {
  TicketKeys tickets;
  const auto front = front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets, Version::Tls13);
  Peer old = Peer::mail_program(only(TLS1_2_VERSION));
  Gate refusing(*front);
  converse(old, refusing);
  EXPECT_EQ(refusing.failure(), Failure::VersionTooOld) << refusing.channel().library_error();
  EXPECT_EQ(old.alert(), "protocol version");
  EXPECT_EQ(version_name(refusing.hello().version_max), "TLSv1.2");

  Peer peer = Peer::mail_program();
  Gate gate(*front);
  converse(peer, gate);
  EXPECT_TRUE(gate.done());
}

TEST(Handshake, NothingInCommonIsRefused) {
  PeerSettings settings = only(TLS1_2_VERSION);
  settings.suites = "ECDHE-ECDSA-AES128-SHA:AES128-SHA";  // CBC only
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(peer, gate);
  EXPECT_EQ(gate.failure(), Failure::NoCommonCipher) << gate.channel().library_error();
  EXPECT_EQ(peer.alert(), "handshake failure");
}

TEST(Handshake, TextIsNotTls) {
  for (const std::string_view text :
       {"a1 LOGIN joe secret\r\n", "GET / HTTP/1.0\r\n\r\n", "\r\n", "E", "\x16\x05\x01zz"}) {
    Gate whole(plain_front());
    whole.feed(text);
    EXPECT_EQ(whole.failure(), Failure::NotTls) << text;
    EXPECT_EQ(whole.take(), "");
    Gate bytes(plain_front());
    for (const char c : text)
      bytes.feed({&c, 1});
    EXPECT_EQ(bytes.failure(), Failure::NotTls) << text;
  }
}

TEST(Handshake, RecordsThatAreNoHelloAreRefused) {
  Gate alert_first(plain_front());
  alert_first.feed(std::string_view("\x15\x03\x01\x00\x02\x01\x00", 7));
  EXPECT_EQ(alert_first.failure(), Failure::BadHello);
  Gate server_hello(plain_front());
  server_hello.feed(std::string_view("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9));
  EXPECT_EQ(server_hello.failure(), Failure::BadHello);
}

TEST_P(Versions, PeersAlertInTheHandshake) {
  Peer peer = Peer::mail_program(only(GetParam()));
  Gate gate(plain_front());
  peer.shake_hands();
  gate.feed(peer.take());
  gate.feed(std::string_view("\x15\x03\x03\x00\x02\x02\x30", 7));  // fatal, unknown_ca
  EXPECT_EQ(gate.failure(), Failure::PeerAlert);
  EXPECT_EQ(gate.channel().alert(), 48);
}

// A mail program that does not know our authority sends its alert: OpenSSL in clear, though TLS 1.3 has keys by then.
TEST_P(Versions, PeerThatDistrustsUs) {
  const Authority other("Unknown authority");
  TicketKeys tickets;
  const auto front = front_of({other.issue({.dns = {"mail.example.test"}})}, tickets);
  Peer peer = Peer::mail_program(only(GetParam()));
  Gate gate(*front);
  converse(peer, gate);
  EXPECT_FALSE(gate.done());
  EXPECT_EQ(gate.failure(), Failure::PeerAlert) << gate.channel().library_error();
  EXPECT_EQ(gate.channel().alert(), 48);  // unknown_ca
}

// The mail program gives up politely in the middle.
TEST(Handshake, CloseNotifyInTheHandshake) {
  Peer peer = Peer::mail_program(only(TLS1_2_VERSION));
  Gate gate(plain_front());
  peer.shake_hands();
  gate.feed(peer.take());
  gate.feed(std::string_view("\x15\x03\x03\x00\x02\x01\x00", 7));
  EXPECT_EQ(gate.failure(), Failure::PeerAlert);
}

}  // namespace
}  // namespace postern::tls::test
