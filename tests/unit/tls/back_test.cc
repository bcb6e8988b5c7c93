// SPDX-License-Identifier: GPL-3.0-or-later
// The back half: an OpenSSL mail server must prove that it is the one that was meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

constexpr char host[] = "store1.example.test";

std::unique_ptr<BackContext> back_of(BackTrust trust, Version min_version = Version::Tls12) {
  absl::StatusOr<std::unique_ptr<BackContext>> back = BackContext::load(trust, min_version);
  EXPECT_TRUE(back.ok()) << back.status().message();
  return *std::move(back);
}

std::unique_ptr<BackContext> back_of(const std::string& ca, Version min_version = Version::Tls12) {
  BackTrust trust;
  trust.ca_name = "/etc/postern/ca.pem";
  trust.ca = ca;
  return back_of(std::move(trust), min_version);
}

class Back : public ::testing::TestWithParam<int> {
 protected:
  std::unique_ptr<BackContext> back_ = back_of(authority().pem());

  PeerSettings only() const {
    PeerSettings settings;
    settings.min_version = settings.max_version = GetParam();
    return settings;
  }
  // How the back half's handshake ends at a server with this certificate.
  Failure outcome(const Leaf& leaf, std::string_view name = host) {
    Peer peer = Peer::mail_server(leaf, only());
    Gate gate(*back_, name);
    converse(peer, gate);
    EXPECT_EQ(gate.done(), gate.failure() == Failure::None);
    alert_ = peer.alert();
    const char* asked_for = SSL_get_servername(peer.ssl(), TLSEXT_NAMETYPE_host_name);
    asked_for_ = asked_for == nullptr ? "" : asked_for;
    return gate.failure();
  }
  std::string alert_;
  std::string asked_for_;
};
INSTANTIATE_TEST_SUITE_P(Both, Back, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Back, GoodServer) {
  for (const KeyKind kind : {KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048}) {
    Peer peer = Peer::mail_server(authority().issue({.dns = {host}, .key = kind}), only());
    Gate gate(*back_, host);
    converse(peer, gate);
    ASSERT_TRUE(gate.done());
    ASSERT_TRUE(peer.done());
    EXPECT_EQ(gate.channel().version(), GetParam() == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
    // The server was told the name.
    EXPECT_STREQ(SSL_get_servername(peer.ssl(), TLSEXT_NAMETYPE_host_name), host);
    for (const std::string& text : {std::string("* OK ready\r\n"), std::string(50000, 'm')}) {
      ASSERT_TRUE(peer.write(text));
      converse(peer, gate);
      EXPECT_EQ(gate.read(), text);
      ASSERT_TRUE(gate.write(text));
      converse(peer, gate);
      EXPECT_EQ(peer.read(), text);
    }
    EXPECT_TRUE(gate.holds_nothing());
  }
}

TEST_P(Back, SingleBytesAreEnough) {
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), only());
  Gate gate(*back_, host);
  converse(peer, gate, 1);
  ASSERT_TRUE(gate.done());
  ASSERT_TRUE(peer.write("* OK ready\r\n"));
  converse(peer, gate, 1);
  EXPECT_EQ(gate.read(), "* OK ready\r\n");
}

// STARTTLS: the greeting in the same segment as the server's last handshake message is not lost.
TEST_P(Back, DataBehindTheLastHandshakeMessage) {
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), only());
  Gate gate(*back_, host);
  std::string flight;
  while (!gate.done()) {
    peer.feed(gate.take());
    peer.shake_hands();
    if (peer.done()) {
      ASSERT_TRUE(peer.write("* OK ready\r\n"));
    }
    flight = peer.take();
    ASSERT_FALSE(flight.empty() && gate.failure() != Failure::None);
    gate.feed(flight);
    if (GetParam() == TLS1_3_VERSION && gate.done()) {
      converse(peer, gate);
      ASSERT_TRUE(peer.write("* OK ready\r\n"));
      gate.feed(peer.take());
    }
  }
  EXPECT_EQ(gate.read(), "* OK ready\r\n");
}

TEST_P(Back, WrongName) {
  EXPECT_EQ(outcome(authority().issue({.dns = {"other.example.test"}})), Failure::WrongName);
  EXPECT_EQ(outcome(authority().issue({.dns = {"example.test"}})), Failure::WrongName);
  EXPECT_EQ(outcome(authority().issue({.dns = {"*.example.test"}}), "a.b.example.test"), Failure::WrongName);
  EXPECT_NE(alert_, "");
}

TEST_P(Back, NamesThatMatch) {
  EXPECT_EQ(outcome(authority().issue({.dns = {"a.test", host}})), Failure::None);
  EXPECT_EQ(outcome(authority().issue({.dns = {"*.example.test"}})), Failure::None);
  EXPECT_EQ(outcome(authority().issue({.dns = {"STORE1.Example.Test"}})), Failure::None);
}

// Mail servers that are known by their addresses, which are not asked for by SNI.
TEST_P(Back, Addresses) {
  const Leaf leaf = authority().issue({.dns = {"IP:192.0.2.7", "IP:2001:db8::7", "name.test"}});
  for (const std::string name : {"192.0.2.7", "2001:db8::7", "2001:0DB8:0:0::7"}) {
    EXPECT_EQ(outcome(leaf, name), Failure::None) << name;
    EXPECT_EQ(asked_for_, "");
  }
  EXPECT_EQ(outcome(leaf, "name.test"), Failure::None);
  EXPECT_EQ(asked_for_, "name.test");
  for (const std::string name : {"192.0.2.8", "192.0.2.70", "2001:db8::8", "192.0.2"})
    EXPECT_EQ(outcome(leaf, name), Failure::WrongName) << name;
  EXPECT_EQ(outcome(authority().issue({.dns = {"name.test"}}), "192.0.2.7"), Failure::WrongName);
}

// A common name does not count beside alternative names.
TEST_P(Back, CommonNameDoesNotCount) {
  EXPECT_EQ(outcome(authority().issue({.dns = {"first.example.test", "second.example.test"}}), "second.example.test"),
            Failure::None);
  const Leaf named_only = authority().issue({.common_name = host, .dns = {"other.example.test"}});
  EXPECT_EQ(outcome(named_only), Failure::WrongName);
}

TEST_P(Back, UnknownAuthority) {
  const Authority stranger("Test authority");  // the same name, another key
  EXPECT_EQ(outcome(stranger.issue({.dns = {host}})), Failure::CertificateRefused);
  const Authority other("Another authority");
  EXPECT_EQ(outcome(other.issue({.dns = {host}})), Failure::CertificateRefused);
  EXPECT_NE(alert_, "");
}

// Whatever else is wrong too: the chain of trust is never excused by a right name, nor the name by a right chain.
TEST_P(Back, TwoFaults) {
  const Authority other("Another authority");
  EXPECT_EQ(outcome(other.issue({.dns = {"other.example.test"}})), Failure::CertificateRefused);
  EXPECT_EQ(outcome(authority().issue({.dns = {"other.example.test"}, .valid_to_s = -60})),
            Failure::CertificateRefused);
}

TEST_P(Back, SelfSigned) {
  const Authority own(host);
  EXPECT_EQ(outcome(own.as_leaf()), Failure::CertificateRefused);
}

TEST_P(Back, ExpiredOrNotYetValid) {
  EXPECT_EQ(outcome(authority().issue({.dns = {host}, .valid_to_s = -60})), Failure::CertificateRefused);
  EXPECT_EQ(outcome(authority().issue({.dns = {host}, .valid_from_s = 3 * 24 * 3600, .valid_to_s = 4 * 24 * 3600})),
            Failure::CertificateRefused);
}

// Not for servers: its owner may sign mail, not receive logins.
TEST_P(Back, CertificateForAnotherPurpose) {
  EXPECT_EQ(outcome(authority().issue({.dns = {host}, .purpose = "emailProtection"})), Failure::CertificateRefused);
}

TEST_P(Back, SeveralAuthorities) {
  const Authority other("Another authority");
  back_ = back_of(other.pem() + "\n" + authority().pem());
  EXPECT_EQ(outcome(authority().issue({.dns = {host}})), Failure::None);
  EXPECT_EQ(outcome(other.issue({.dns = {host}})), Failure::None);
}

TEST_P(Back, ServerThatRefusesUs) {
  PeerSettings settings = only();
  settings.suites = "ECDHE-ECDSA-AES128-SHA";
  settings.groups = "X448";
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), settings);
  Gate gate(*back_, host);
  converse(peer, gate);
  EXPECT_EQ(gate.failure(), Failure::PeerAlert);
  EXPECT_EQ(gate.channel().alert(), 40);  // handshake_failure
}

TEST_P(Back, ServerThatSpeaksInClear) {
  Gate gate(*back_, host);
  gate.take();
  gate.feed("* OK IMAP4rev1 ready\r\n");
  EXPECT_EQ(gate.failure(), Failure::NotTls);
}

TEST_P(Back, TicketsAndUpdatesOfTheServer) {
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), only());
  Gate gate(*back_, host);
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  if (GetParam() == TLS1_3_VERSION) {
    ASSERT_EQ(SSL_new_session_ticket(peer.ssl()), 1);
    peer.shake_hands();
    ASSERT_EQ(SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  }
  ASSERT_TRUE(peer.write("* OK ready\r\n"));
  converse(peer, gate);
  EXPECT_EQ(gate.read(), "* OK ready\r\n");
  ASSERT_TRUE(gate.write("a1 NOOP\r\n"));
  converse(peer, gate);
  EXPECT_EQ(peer.read(), "a1 NOOP\r\n");
}

BackTrust pinned(const std::vector<std::string>& pins) {
  BackTrust trust;
  trust.pins = pins;
  return trust;
}

// The key is all that counts: not who vouches for it, nor its name, nor its dates.
TEST_P(Back, Pins) {
  const Authority stranger("Strangers");
  for (const KeyKind key : {KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048}) {
    const Leaf leaf = stranger.issue({.dns = {"other.test"}, .key = key, .valid_to_s = -60});
    back_ = back_of(pinned({pin_of(leaf.chain)}));
    EXPECT_EQ(outcome(leaf), Failure::None);
    EXPECT_EQ(asked_for_, host);
    back_ = back_of(pinned({std::string(32, 'x'), pin_of(leaf.chain), std::string(32, '\0')}));
    EXPECT_EQ(outcome(leaf), Failure::None);
    Leaf with_chain = leaf;
    with_chain.chain += stranger.pem() + authority().pem();
    EXPECT_EQ(outcome(with_chain), Failure::None);
  }
  const Leaf own = Authority("Self").as_leaf();
  back_ = back_of(pinned({pin_of(own.chain)}));
  EXPECT_EQ(outcome(own), Failure::None);
}

TEST_P(Back, OtherKeyThanThePinned) {
  const Leaf meant = authority().issue({.dns = {host}});
  BackTrust trust = pinned({pin_of(meant.chain), pin_of(authority().pem())});
  trust.ca = authority().pem();  // what it vouches for does not count
  back_ = back_of(std::move(trust));
  EXPECT_EQ(outcome(meant), Failure::None);
  EXPECT_EQ(outcome(authority().issue({.dns = {host}})), Failure::PinMismatch);
  EXPECT_EQ(alert_, "bad certificate");
  // Nor does it help to show the pinned certificate, or a pinned authority's, behind one's own.
  Leaf behind = authority().issue({.dns = {host}});
  behind.chain += meant.chain + authority().pem();
  EXPECT_EQ(outcome(behind), Failure::PinMismatch);
}

// Anybody can show the pinned certificate; its key is another matter.
TEST_P(Back, PinnedCertificateWithoutItsKey) {
  const Leaf meant = authority().issue({.dns = {host}});
  back_ = back_of(pinned({pin_of(meant.chain)}));
  EXPECT_NE(outcome(with_false_key(meant)), Failure::None);
  back_ = back_of(authority().pem());
  EXPECT_NE(outcome(with_false_key(meant)), Failure::None);
}

// The mail server asks for a certificate of the gate's own.
TEST_P(Back, ShowsItsOwnCertificate) {
  const Authority gates("Gates");
  const Leaf leaf = authority().issue({.dns = {host}});
  for (const KeyKind key : {KeyKind::EcdsaP256, KeyKind::Rsa2048}) {
    BackTrust trust;
    trust.ca = authority().pem();
    trust.own = pem_of(gates.issue({.common_name = "gate", .dns = {}, .key = key, .purpose = "clientAuth"}));
    back_ = back_of(std::move(trust));
    PeerSettings settings = only();
    settings.asks = &gates;
    Peer peer = Peer::mail_server(leaf, settings);
    Gate gate(*back_, host);
    converse(peer, gate);
    ASSERT_TRUE(gate.done() && peer.done());
    EXPECT_EQ(peer.subject(), "gate");
    ASSERT_TRUE(gate.write("a1 NOOP\r\n"));
    converse(peer, gate);
    EXPECT_EQ(peer.read(), "a1 NOOP\r\n");
    EXPECT_EQ(outcome(leaf), Failure::None);  // a mail server that does not ask
  }
}

TEST_P(Back, HasNoCertificateToShow) {
  PeerSettings settings = only();
  settings.asks = &authority();
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), settings);
  Gate gate(*back_, host);
  converse(peer, gate);
  EXPECT_FALSE(peer.done());
  EXPECT_EQ(gate.failure(), Failure::PeerAlert);
}

TEST(BackVersions, OldServerIsRefused) {
  const auto back = back_of(authority().pem(), Version::Tls13);
  PeerSettings settings;
  settings.max_version = TLS1_2_VERSION;
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), settings);
  Gate gate(*back, host);
  converse(peer, gate);
  EXPECT_FALSE(gate.done());
  EXPECT_TRUE(gate.failure() == Failure::PeerAlert || gate.failure() == Failure::VersionTooOld);
}

// A server that wants to begin again (TLS 1.2) is not followed.
TEST(BackVersions, HelloRequestIsRefused) {
  const auto back = back_of(authority().pem());
  PeerSettings settings;
  settings.max_version = TLS1_2_VERSION;
  Peer peer = Peer::mail_server(authority().issue({.dns = {host}}), settings);
  Gate gate(*back, host);
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  ASSERT_EQ(SSL_renegotiate(peer.ssl()), 1);
  peer.shake_hands();
  gate.feed(peer.take());
  peer.feed(gate.take());
  peer.read();
  EXPECT_EQ(peer.alert(), "no renegotiation");
}

std::string fault_of(const BackTrust& trust) {
  const auto back = BackContext::load(trust, Version::Tls12);
  return back.ok() ? "(loaded)" : std::string(back.status().message());
}

TEST(BackLoad, Pins) {
  EXPECT_EQ(fault_of(pinned({std::string(32, 'x')})), "(loaded)");
  for (const size_t size : {0, 20, 31, 33, 64})
    EXPECT_THAT(fault_of(pinned({std::string(32, 'x'), std::string(size, 'x')})), ::testing::HasSubstr("32")) << size;
}

TEST(BackLoad, OwnCertificate) {
  BackTrust trust;
  trust.ca = authority().pem();
  const Leaf leaf = authority().issue({.dns = {"gate"}});
  trust.own = pem_of(leaf);
  EXPECT_EQ(fault_of(trust), "(loaded)");
  trust.own.key = Secret(authority().issue({.dns = {"gate"}}).key);
  EXPECT_THAT(fault_of(trust), ::testing::AllOf(::testing::HasSubstr("/etc/tls/0.key: this key does not belong"),
                                                ::testing::HasSubstr("/etc/tls/0.crt")));
}

TEST(BackLoad, FileWithoutAuthority) {
  for (const std::string& text : {std::string(), std::string("nothing\n"), std::string("-----BEGIN CERTIFICATE-----\n"),
                                  authority().issue({.dns = {host}}).key}) {
    BackTrust trust;
    trust.ca_name = "/etc/postern/ca.pem";
    trust.ca = text;
    const auto back = BackContext::load(trust, Version::Tls12);
    ASSERT_FALSE(back.ok()) << text;
    EXPECT_THAT(std::string(back.status().message()),
                ::testing::HasSubstr("/etc/postern/ca.pem: holds no CA certificate"));
  }
}

}  // namespace
}  // namespace postern::tls::test
