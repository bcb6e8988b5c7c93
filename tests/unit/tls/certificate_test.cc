// SPDX-License-Identifier: GPL-3.0-or-later
// FrontContext: which certificate a mail program is shown, and what an operator is told of files that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char rsa_only[] = "RSA-PSS+SHA256:RSA+SHA256";

class Choice : public ::testing::Test {
 protected:
  Choice()
      : front_(front_of({leaf({"mail.example.test", "imap.example.test"}, KeyKind::EcdsaP256),
                         leaf({"mail.example.test"}, KeyKind::Rsa2048), leaf({"*.wild.test"}, KeyKind::EcdsaP256),
                         leaf({"deep.wild.test"}, KeyKind::EcdsaP256), leaf({"Old.Example.Test"}, KeyKind::Rsa2048)},
                        tickets_)) {}

  static Leaf leaf(const std::vector<std::string>& names, KeyKind key) {
    return authority().issue({.dns = names, .key = key});
  }

  // "mail.example.test ecdsa": the name in the certificate that a mail program gets.
  std::string shown(PeerSettings settings) {
    Peer peer = Peer::mail_program(settings);
    Gate gate(*front_);
    converse(peer, gate);
    if (!gate.done()) return "none";
    return peer.subject() + (peer.shown_ecdsa() ? " ecdsa" : " rsa");
  }
  std::string shown_for(const std::string& name) { return shown({.sni = name}); }

  TicketKeys tickets_;
  std::unique_ptr<FrontContext> front_;
};

TEST_F(Choice, ByName) {
  EXPECT_EQ(front_->size(), 5u);
  EXPECT_EQ(shown_for("mail.example.test"), "mail.example.test ecdsa");
  EXPECT_EQ(shown_for("imap.example.test"), "mail.example.test ecdsa");
  EXPECT_EQ(shown_for("MAIL.example.TEST"), "mail.example.test ecdsa");
  EXPECT_EQ(shown_for("old.example.test"), "Old.Example.Test rsa");
}

TEST_F(Choice, WildcardStandsForOneLabel) {
  EXPECT_EQ(shown_for("mail.wild.test"), "*.wild.test ecdsa");
  EXPECT_EQ(shown_for("deep.wild.test"), "deep.wild.test ecdsa");
  EXPECT_EQ(shown_for("a.b.wild.test"), "mail.example.test ecdsa");
  EXPECT_EQ(shown_for("wild.test"), "mail.example.test ecdsa");
}

TEST_F(Choice, DefaultWithoutAName) {
  EXPECT_EQ(shown_for(""), "mail.example.test ecdsa");
  EXPECT_EQ(shown_for("unknown.test"), "mail.example.test ecdsa");
}

TEST_F(Choice, RsaForThoseWhoCannotVerifyEcdsa) {
  PeerSettings settings;
  settings.signatures = rsa_only;
  EXPECT_EQ(shown(settings), "mail.example.test rsa");
  // The default's RSA half, though only one of the default's names has one.
  settings.sni = "";
  EXPECT_EQ(shown(settings), "mail.example.test rsa");
  settings.sni = "unknown.test";
  EXPECT_EQ(shown(settings), "mail.example.test rsa");
}

TEST_F(Choice, RsaForTls12WithRsaSuitesOnly) {
  PeerSettings settings;
  settings.max_version = TLS1_2_VERSION;
  settings.suites = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305";
  EXPECT_EQ(shown(settings), "mail.example.test rsa");
  settings.suites = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
  EXPECT_EQ(shown(settings), "mail.example.test ecdsa");
}

TEST_F(Choice, OnlyEcdsaForOneWhoCannotVerifyIt) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerSettings settings;
    settings.min_version = settings.max_version = version;
    settings.sni = "deep.wild.test";
    settings.signatures = rsa_only;
    Peer peer = Peer::mail_program(settings);
    Gate gate(*front_);
    converse(peer, gate);
    EXPECT_EQ(gate.failure(), Failure::NoCommonCipher) << gate.channel().library_error();
    EXPECT_EQ(peer.alert(), "handshake failure");
  }
}

// Hello names that a certificate index must not stumble over.
TEST_F(Choice, OddNames) {
  for (const std::string name : {"", ".", "..", "*", "*.wild.test", ".wild.test", "a.", "."}) {
    ClientHello hello;
    hello.server_name = name;
    EXPECT_NE(&front_->choose(hello), nullptr);
  }
  ClientHello hello;
  hello.server_name = ".wild.test";
  hello.verifies_ecdsa = true;
  EXPECT_THAT(front_->choose(hello).names, ::testing::Contains("mail.example.test"));
}

std::string fault_of(const std::vector<Leaf>& leaves) {
  TicketKeys tickets;
  std::vector<CertificatePem> pems;
  for (const Leaf& leaf : leaves)
    pems.push_back(pem_of(leaf, std::to_string(pems.size())));
  const auto front = FrontContext::load(pems, Version::Tls12, tickets);
  return front.ok() ? "(loaded)" : std::string(front.status().message());
}

Leaf good_leaf() {
  return authority().issue({.dns = {"mail.example.test"}});
}

TEST(Load, GoodPair) {
  EXPECT_EQ(fault_of({good_leaf()}), "(loaded)");
  // Text around the PEM blocks, as `openssl x509 -text` writes it, and an intermediate behind the leaf.
  Leaf chatty = good_leaf();
  chatty.chain = "Certificate:\n  Data: ...\n" + chatty.chain + "\nthe authority:\n" + authority().pem();
  EXPECT_EQ(fault_of({chatty}), "(loaded)");
}

TEST(Load, KeyOfAnotherCertificate) {
  Leaf mixed = good_leaf();
  mixed.key = good_leaf().key;
  EXPECT_THAT(fault_of({mixed}), AllOf(HasSubstr("/etc/tls/0.key: this key does not belong to the first certificate"),
                                       HasSubstr("/etc/tls/0.crt")));
  mixed.key = authority().issue({.dns = {"x.test"}, .key = KeyKind::Rsa2048}).key;
  EXPECT_THAT(fault_of({mixed}), HasSubstr("/etc/tls/0.key: "));
}

TEST(Load, ChainTurnedRound) {
  Leaf turned = good_leaf();
  turned.chain = authority().pem() + turned.chain;
  EXPECT_THAT(fault_of({turned}), HasSubstr("does not belong to the first certificate"));
}

TEST(Load, BrokenCertificates) {
  const Leaf good = good_leaf();
  for (const std::string& chain :
       {std::string(), std::string("not PEM\n"), good.key, std::string("-----BEGIN CERTIFICATE-----\n"),
        good.chain.substr(0, good.chain.size() / 2)}) {
    EXPECT_THAT(fault_of({{chain, good.key}}), HasSubstr("/etc/tls/0.crt: holds no PEM certificate")) << chain;
  }
  const std::string empty_block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_THAT(fault_of({{empty_block, good.key}}),
              AllOf(HasSubstr("/etc/tls/0.crt: its first certificate cannot be used"), HasSubstr("P-256")));
  EXPECT_THAT(fault_of({{good.chain + empty_block, good.key}}),
              HasSubstr("/etc/tls/0.crt: certificate 2 of the chain cannot be read"));
}

// Every certificate cut at every place is refused with a sentence, and nothing else happens.
TEST(Load, CertificateCutAnywhere) {
  const Leaf good = good_leaf();
  for (size_t size = 0; size + 1 < good.chain.size(); size += 7)
    EXPECT_THAT(fault_of({{good.chain.substr(0, size), good.key}}), HasSubstr("/etc/tls/0.crt: ")) << size;
}

TEST(Load, BrokenKeys) {
  const Leaf good = good_leaf();
  for (const std::string& key : {std::string(), std::string("not PEM\n"), good.chain, good.key.substr(0, 60)})
    EXPECT_THAT(fault_of({{good.chain, key}}), HasSubstr("/etc/tls/0.key: ")) << key;
  const std::string locked =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgt\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_THAT(fault_of({{good.chain, locked}}),
              AllOf(HasSubstr("/etc/tls/0.key: holds no private key that Postern can read"), HasSubstr("passphrase")));
}

TEST(Load, AllFaultsAtOnce) {
  Leaf mixed = good_leaf();
  mixed.key = good_leaf().key;
  const std::string faults = fault_of({{"", ""}, good_leaf(), mixed});
  EXPECT_THAT(faults, AllOf(HasSubstr("/etc/tls/0.crt"), HasSubstr("/etc/tls/2.key"), Not(HasSubstr("/etc/tls/1"))));
  EXPECT_THAT(faults, ContainsRegex("0\\.crt.*\n.*2\\.key"));
}

// A fault never quotes the key.
TEST(Load, FaultsKeepTheKeySecret) {
  Leaf mixed = good_leaf();
  mixed.chain = good_leaf().chain;
  const std::string key_line = mixed.key.substr(mixed.key.find('\n') + 1, 40);
  EXPECT_THAT(fault_of({mixed}), Not(HasSubstr(key_line)));
}

TEST(Load, KindsOfKey) {
  EXPECT_EQ(fault_of({authority().issue({.dns = {"mail.example.test"}, .key = KeyKind::EcdsaP384})}), "(loaded)");
  EXPECT_THAT(fault_of({authority().issue({.dns = {"mail.example.test"}, .key = KeyKind::Ed25519})}),
              HasSubstr("/etc/tls/0.crt: its first certificate cannot be used"));
}

TEST(Load, NothingToServe) {
  TicketKeys tickets;
  const auto front = FrontContext::load({}, Version::Tls12, tickets);
  ASSERT_TRUE(front.ok());
  EXPECT_EQ((*front)->size(), 0u);
  EXPECT_FALSE((*front)->trust_expiry());
}

TEST(Expiry, OfCertificatesAndOfTrust) {
  TicketKeys tickets;
  const auto leaf_until = [](int seconds) {
    return authority().issue({.dns = {"mail.example.test"}, .valid_from_s = -86400, .valid_to_s = seconds});
  };
  const int64_t now = time(nullptr);
  const auto near = [](const std::optional<Expiry>& expiry, int64_t time, const std::string& name) {
    return expiry && std::abs(expiry->not_after - time) <= 5 && expiry->file_name == name;
  };
  const auto front = front_of({leaf_until(9000), leaf_until(7000)}, tickets);
  EXPECT_FALSE(front->trust_expiry());
  EXPECT_LE(std::abs(front->choose({}).not_after - (now + 9000)), 5);
  EXPECT_EQ(front->choose({}).chain_name, "/etc/tls/0.crt");
  // One that is over is shown all the same: it is the administrator's to say what is better, that or nothing.
  EXPECT_LE(std::abs(front_of({leaf_until(-100)}, tickets)->choose({}).not_after - (now - 100)), 5);
  ClientTrust trust = {"u.pem", authority().pem(), "u.crl", authority().revoke({}, 500)};
  EXPECT_TRUE(near(front_of({leaf_until(9000)}, tickets, Version::Tls12, &trust)->trust_expiry(), now + 500, "u.crl"));
  trust = {"u.pem", authority().pem() + Authority("Soon", authority(), 300).pem(), "", ""};
  EXPECT_TRUE(near(front_of({leaf_until(9000)}, tickets, Version::Tls12, &trust)->trust_expiry(), now + 300, "u.pem"));
}

}  // namespace
}  // namespace postern::tls::test
