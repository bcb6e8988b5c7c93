// SPDX-License-Identifier: GPL-3.0-or-later
// Channel bindings: both ends of a connection, who share no code, come to the same bytes.
#include <gtest/gtest.h>

#include <string>

#include "gate.h"

namespace postern::tls::test {
namespace {

// RFC 9266, section 2, by OpenSSL.
std::string exporter_of(const Peer& peer) {
  static constexpr std::string_view label = "EXPORTER-Channel-Binding";
  std::string binding(32, '\0');
  const unsigned char nothing = 0;
  EXPECT_EQ(SSL_export_keying_material(peer.ssl(), reinterpret_cast<unsigned char*>(binding.data()), binding.size(),
                                       label.data(), label.size(), &nothing, 0, 1),
            1);
  return binding;
}

class Exporter : public ::testing::TestWithParam<int> {
 protected:
  PeerSettings only() const {
    PeerSettings settings;
    settings.min_version = settings.max_version = GetParam();
    return settings;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, Exporter, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Exporter, SameAtBothEnds) {
  std::string last;
  for (const char* suite : {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    PeerSettings settings = only();
    settings.suites13 = suite;
    Peer peer = Peer::mail_program(settings);
    Gate gate(plain_front(), "imap", {.exporter_binding = true});
    converse(peer, gate);
    ASSERT_TRUE(gate.done());
    const Findings findings = gate.channel().take_findings();
    EXPECT_EQ(findings.exporter_binding, exporter_of(peer));
    EXPECT_NE(findings.exporter_binding, last);
    EXPECT_EQ(findings.peer, std::nullopt);
    EXPECT_EQ(gate.channel().take_findings().exporter_binding, "");
    last = findings.exporter_binding;
    ASSERT_TRUE(peer.write("a1 NOOP\r\n"));
    converse(peer, gate);
    EXPECT_EQ(gate.read(), "a1 NOOP\r\n");
  }
}

TEST_P(Exporter, SameAtBothEndsWhenResumed) {
  PeerSettings settings = only();
  Peer first = Peer::mail_program(settings);
  Gate gate(plain_front());
  converse(first, gate);
  first.read();
  const Session session = first.session();
  settings.resume = session.get();
  Peer peer = Peer::mail_program(settings);
  Gate resumed(plain_front(), "imap", {.exporter_binding = true});
  converse(peer, resumed);
  ASSERT_TRUE(resumed.channel().resumed());
  EXPECT_EQ(resumed.channel().take_findings().exporter_binding, exporter_of(peer));
}

TEST_P(Exporter, NoneUnlessAskedFor) {
  Peer peer = Peer::mail_program(only());
  Gate gate(plain_front());
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(gate.channel().take_findings().exporter_binding, "");
}

TEST_P(Exporter, NoneBeforeTheEnd) {
  Peer peer = Peer::mail_program(only());
  Gate gate(plain_front(), "imap", {.exporter_binding = true});
  peer.shake_hands();
  gate.feed(peer.take());
  ASSERT_TRUE(gate.channel() && !gate.done());
  EXPECT_EQ(gate.channel().take_findings().exporter_binding, "");
  peer.feed(gate.take());
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(gate.channel().take_findings().exporter_binding, exporter_of(peer));
}

TEST_P(Exporter, BesideACertificate) {
  const Authority users("Users");
  const ClientTrust trust = {"u.pem", users.pem(), "", ""};
  TicketKeys tickets;
  const auto front = front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets, Version::Tls12, &trust);
  PeerSettings settings = only();
  settings.own = users.issue({.common_name = "joe", .dns = {}, .purpose = "clientAuth"});
  Peer peer = Peer::mail_program(settings);
  Gate gate(*front, "imap", {.exporter_binding = true});
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  const Findings findings = gate.channel().take_findings();
  ASSERT_TRUE(findings.peer);
  EXPECT_EQ(findings.peer->common_name, "joe");
  EXPECT_EQ(findings.exporter_binding, exporter_of(peer));
}

// Such a connection's keys can be made to be those of another (RFC 9266, section 4.2).
TEST(ExporterTls12, NoneWithoutExtendedMasterSecret) {
  PeerSettings settings;
  settings.max_version = TLS1_2_VERSION;
  settings.extended_master_secret = false;
  Peer peer = Peer::mail_program(settings);
  Gate gate(plain_front(), "imap", {.exporter_binding = true});
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_EQ(gate.channel().take_findings().exporter_binding, "");
}

// RFC 5929, section 4.1, by OpenSSL.
std::string end_point_of(const std::string& chain, const EVP_MD* hash) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(certificate_of(chain).get(), hash, bytes, &size);
  return std::string(reinterpret_cast<char*>(bytes), size);
}

TEST(EndPoint, HashOfTheSignature) {
  const Authority rsa("RSA authority", KeyKind::Rsa2048);
  TicketKeys tickets;
  for (const Authority* issuer : {&authority(), &rsa}) {
    const struct {
      const char* signature;
      const EVP_MD* hash;
    } cases[] = {{"SHA1", EVP_sha256()}, {"SHA256", EVP_sha256()}, {"SHA384", EVP_sha384()}, {"SHA512", EVP_sha512()}};
    for (const auto& [signature, hash] : cases) {
      const Leaf leaf = issuer->issue({.dns = {"mail.example.test"}, .digest = signature});
      const auto front = front_of({leaf}, tickets);
      EXPECT_EQ(front->choose({}).end_point, end_point_of(leaf.chain, hash)) << signature;
    }
  }
}

}  // namespace
}  // namespace postern::tls::test
