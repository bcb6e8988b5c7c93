// SPDX-License-Identifier: GPL-3.0-or-later
// Certificates of mail programs: asked for where the configuration says so, verified, read once, and gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Authority& clients() {
  static const Authority one("Users");
  return one;
}

Wanted user(const std::string& name) {
  return {.common_name = name, .dns = {}, .purpose = "clientAuth"};
}

class Client : public ::testing::TestWithParam<int> {
 protected:
  PeerSettings only() const {
    PeerSettings settings;
    settings.min_version = settings.max_version = GetParam();
    return settings;
  }

  // How the handshake of a mail program ends that shows this, or nothing.
  Failure outcome(const Leaf& own, const ClientTrust& trust) {
    const auto front = front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets_, Version::Tls12, &trust);
    return outcome(own, *front);
  }
  Failure outcome(const Leaf& own, const FrontContext& front) {
    PeerSettings settings = only();
    settings.own = own;
    Peer peer = Peer::mail_program(settings);
    Gate gate(front);
    converse(peer, gate);
    if (peer.done()) peer.read();  // in TLS 1.3 it hears of its certificate when it believes to be connected
    alert_ = peer.alert();
    EXPECT_EQ(gate.done(), gate.failure() == Failure::None);
    findings_ = gate.channel().take_findings();
    EXPECT_EQ(gate.channel().take_findings().peer, std::nullopt);
    if (!gate.done()) {
      EXPECT_EQ(findings_.peer, std::nullopt);
      return gate.failure();
    }
    const bool wrote = peer.write("a1 NOOP\r\n") && gate.write("* OK\r\n");
    converse(peer, gate);
    EXPECT_TRUE(wrote && gate.read() == "a1 NOOP\r\n" && peer.read() == "* OK\r\n");
    return Failure::None;
  }

  static ClientTrust trust(const std::string& ca, const std::string& crl = "") {
    return {"/etc/postern/users.pem", ca, crl.empty() ? "" : "/etc/postern/users.crl", crl};
  }

  TicketKeys tickets_;
  std::string alert_;
  Findings findings_;
};
INSTANTIATE_TEST_SUITE_P(Both, Client, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Client, ShowsACertificate) {
  for (const KeyKind key : {KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048}) {
    Wanted wanted = user("Joe Doe");
    wanted.dns = {"joe.example.test", "email:joe@example.test", "email:other@example.test"};
    wanted.subject = {"C=DE", "O=Example, Inc."};
    wanted.key = key;
    const Leaf own = clients().issue(wanted);
    EXPECT_EQ(outcome(own, trust(clients().pem())), Failure::None);
    ASSERT_TRUE(findings_.peer);
    EXPECT_EQ(findings_.peer->subject, "CN=Joe Doe,O=Example\\, Inc.,C=DE");
    EXPECT_EQ(findings_.peer->common_name, "Joe Doe");
    EXPECT_EQ(findings_.peer->email, "joe@example.test");
    EXPECT_EQ(findings_.peer->fingerprint.size(), 64u);
    EXPECT_EQ(findings_.exporter_binding, "");
  }
}

TEST_P(Client, ShowsNothing) {
  EXPECT_EQ(outcome({}, trust(clients().pem())), Failure::None);
  EXPECT_EQ(findings_.peer, std::nullopt);
}

TEST_P(Client, IsNotAskedWithoutTrust) {
  const auto front = front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets_);
  EXPECT_EQ(outcome(clients().issue(user("joe")), *front), Failure::None);
  EXPECT_EQ(findings_.peer, std::nullopt);
}

TEST_P(Client, UnknownAuthority) {
  const Authority stranger("Strangers");
  EXPECT_EQ(outcome(stranger.issue(user("joe")), trust(clients().pem())), Failure::ClientCertificateRefused);
  EXPECT_EQ(alert_, "unknown CA");
  const Authority namesake("Users");  // another key
  EXPECT_EQ(outcome(namesake.issue(user("joe")), trust(clients().pem())), Failure::ClientCertificateRefused);
  EXPECT_NE(alert_, "");
  EXPECT_EQ(outcome(Authority("joe").as_leaf(), trust(clients().pem())), Failure::ClientCertificateRefused);
  // Nor does whoever vouches for the gate itself vouch for its users.
  EXPECT_EQ(outcome(authority().issue(user("joe")), trust(clients().pem())), Failure::ClientCertificateRefused);
}

TEST_P(Client, RunOutOrNotYetValid) {
  Wanted wanted = user("joe");
  wanted.valid_to_s = -60;
  EXPECT_EQ(outcome(clients().issue(wanted), trust(clients().pem())), Failure::ClientCertificateExpired);
  EXPECT_EQ(alert_, "certificate expired");
  wanted.valid_from_s = 3 * 24 * 3600;
  wanted.valid_to_s = 4 * 24 * 3600;
  EXPECT_EQ(outcome(clients().issue(wanted), trust(clients().pem())), Failure::ClientCertificateExpired);
}

TEST_P(Client, CertificateForAnotherPurpose) {
  Wanted wanted = user("joe");
  wanted.purpose = "serverAuth";
  EXPECT_EQ(outcome(clients().issue(wanted), trust(clients().pem())), Failure::ClientCertificateRefused);
  EXPECT_EQ(alert_, "bad certificate");
}

// Somebody has the certificate of another, which is no secret, but not the key.
TEST_P(Client, CannotProveItsKey) {
  const Leaf joe = clients().issue(user("joe"));
  EXPECT_EQ(outcome(joe, trust(clients().pem())), Failure::None);
  EXPECT_EQ(outcome(with_false_key(joe), trust(clients().pem())), Failure::ClientCertificateRefused);
}

TEST_P(Client, SeveralAuthorities) {
  const Authority others("Guests");
  const ClientTrust both = trust("Our users:\n" + clients().pem() + "\nGuests:\n" + others.pem());
  EXPECT_EQ(outcome(clients().issue(user("joe")), both), Failure::None);
  EXPECT_EQ(outcome(others.issue(user("ann")), both), Failure::None);
  EXPECT_EQ(outcome(Authority("Strangers").issue(user("eve")), both), Failure::ClientCertificateRefused);
}

// Each certificate of the gate knows the users' authorities and lists.
TEST_P(Client, SeveralCertificatesOfTheGate) {
  const Leaf joe = clients().issue(user("joe"));
  const Leaf eve = clients().issue(user("eve"));
  const ClientTrust both = trust(clients().pem(), clients().revoke({eve}));
  const auto front =
      front_of({authority().issue({.dns = {"first.test"}}), authority().issue({.dns = {"mail.example.test"}})},
               tickets_, Version::Tls12, &both);
  EXPECT_EQ(outcome(joe, *front), Failure::None);
  ASSERT_TRUE(findings_.peer);
  EXPECT_EQ(findings_.peer->common_name, "joe");
  EXPECT_EQ(outcome(eve, *front), Failure::ClientCertificateRevoked);
}

TEST_P(Client, Revoked) {
  const Leaf joe = clients().issue(user("joe"));
  const Leaf eve = clients().issue(user("eve"));
  const Leaf max = clients().issue(user("max"));
  const ClientTrust listed = trust(clients().pem(), clients().revoke({eve, max}));
  EXPECT_EQ(outcome(joe, listed), Failure::None);
  for (const Leaf& gone : {eve, max}) {
    EXPECT_EQ(outcome(gone, listed), Failure::ClientCertificateRevoked);
    EXPECT_EQ(alert_, "certificate revoked");
  }
  EXPECT_EQ(outcome({}, listed), Failure::None);
}

TEST_P(Client, NoListOfItsIssuer) {
  const Authority others("Guests");
  const ClientTrust listed = trust(clients().pem() + others.pem(), others.revoke({}));
  EXPECT_EQ(outcome(others.issue(user("ann")), listed), Failure::None);
  EXPECT_EQ(outcome(clients().issue(user("joe")), listed), Failure::ClientRevocationUnknown);
  EXPECT_EQ(alert_, "certificate unknown");
  const ClientTrust both = trust(clients().pem() + others.pem(), others.revoke({}) + "\n" + clients().revoke({}));
  EXPECT_EQ(outcome(clients().issue(user("joe")), both), Failure::None);
}

// The gate starts all the same: who has no certificate can still log in.
TEST_P(Client, ListThatHasRunOut) {
  const ClientTrust old = trust(clients().pem(), clients().revoke({}, -60));
  EXPECT_EQ(outcome(clients().issue(user("joe")), old), Failure::ClientRevocationUnknown);
  EXPECT_EQ(outcome({}, old), Failure::None);
}

class Chain : public Client {
 protected:
  static Leaf below(const Authority& intermediate, const std::string& name) {
    Leaf leaf = intermediate.issue(user(name));
    leaf.chain += intermediate.pem();
    return leaf;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, Chain, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Chain, Intermediate) {
  const Authority office("Office", clients());
  EXPECT_EQ(outcome(below(office, "joe"), trust(clients().pem())), Failure::None);
  ASSERT_TRUE(findings_.peer);
  EXPECT_EQ(findings_.peer->subject, "CN=joe");
  EXPECT_EQ(outcome(office.issue(user("joe")), trust(clients().pem())), Failure::ClientCertificateRefused);
  EXPECT_EQ(outcome(office.issue(user("joe")), trust(clients().pem() + office.pem())), Failure::None);
}

TEST_P(Chain, IntermediateThatDoesNotCount) {
  const Authority old("Office", clients(), -60);
  EXPECT_EQ(outcome(below(old, "joe"), trust(clients().pem())), Failure::ClientCertificateExpired);
  const Authority stranger("Strangers");
  const Authority foreign("Office", stranger);
  EXPECT_EQ(outcome(below(foreign, "joe"), trust(clients().pem())), Failure::ClientCertificateRefused);
  // A user is no authority.
  Leaf joe = clients().issue(user("joe"));
  Leaf eve = stranger.issue(user("eve"));
  eve.chain += joe.chain;
  EXPECT_EQ(outcome(eve, trust(clients().pem())), Failure::ClientCertificateRefused);
}

TEST_P(Chain, RevokedBelowAndAbove) {
  const Authority office("Office", clients());
  const Leaf joe = below(office, "joe");
  const Leaf eve = below(office, "eve");
  const ClientTrust listed = trust(clients().pem(), clients().revoke({}) + office.revoke({eve}));
  EXPECT_EQ(outcome(joe, listed), Failure::None);
  EXPECT_EQ(outcome(eve, listed), Failure::ClientCertificateRevoked);
  const ClientTrust closed = trust(clients().pem(), clients().revoke({{office.pem(), ""}}) + office.revoke({}));
  EXPECT_EQ(outcome(joe, closed), Failure::ClientCertificateRevoked);
  EXPECT_EQ(alert_, "certificate revoked");
  EXPECT_EQ(outcome(joe, trust(clients().pem(), office.revoke({}))), Failure::ClientRevocationUnknown);
}

// A session that could be resumed would come without its certificate, so there is none, neither from this context nor
// from one before that did not ask.
TEST_P(Client, NoTickets) {
  const Leaf server = authority().issue({.dns = {"mail.example.test"}});
  const ClientTrust users = trust(clients().pem());
  const auto before = front_of({server}, tickets_);
  const auto front = front_of({server}, tickets_, Version::Tls12, &users);
  PeerSettings settings = only();
  settings.own = clients().issue(user("joe"));
  Session session;
  for (const FrontContext* context : {before.get(), front.get(), front.get()}) {
    settings.resume = session.get();
    Peer peer = Peer::mail_program(settings);
    Gate gate(*context);
    converse(peer, gate);
    ASSERT_TRUE(gate.done());
    peer.read();
    EXPECT_FALSE(gate.channel().resumed());
    const bool asked = context == front.get();
    EXPECT_EQ(gate.channel().take_findings().peer.has_value(), asked);
    const Session next = peer.session();
    const unsigned char* ticket = nullptr;
    size_t size = 0;
    if (next != nullptr) SSL_SESSION_get0_ticket(next.get(), &ticket, &size);
    EXPECT_EQ(size == 0, asked);
    if (next != nullptr) session.reset(SSL_SESSION_dup(next.get()));
  }
}

std::string fault_of(const ClientTrust& trust) {
  TicketKeys tickets;
  std::vector<CertificatePem> pems;
  pems.push_back(pem_of(authority().issue({.dns = {"mail.example.test"}})));
  const auto front = FrontContext::load(pems, Version::Tls12, tickets, &trust);
  return front.ok() ? "(loaded)" : std::string(front.status().message());
}

TEST(ClientLoad, Authorities) {
  EXPECT_EQ(fault_of({"u.pem", clients().pem(), "", ""}), "(loaded)");
  for (const std::string& text : {std::string(), std::string("nothing\n"), clients().as_leaf().key})
    EXPECT_THAT(fault_of({"u.pem", text, "", ""}), HasSubstr("u.pem: holds no CA certificate")) << text;
  EXPECT_THAT(fault_of({"u.pem", Authority("Old", clients(), -60).pem(), "", ""}), HasSubstr("valid now"));
  EXPECT_THAT(
      fault_of({"u.pem", clients().pem() + "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", ""}),
      HasSubstr("u.pem: certificate 2 cannot be used as a CA"));
  EXPECT_THAT(fault_of({"u.pem", clients().issue(user("joe")).chain, "", ""}),
              AllOf(HasSubstr("u.pem: certificate 1 cannot be used as a CA"), HasSubstr("issued to a user")));
}

TEST(ClientLoad, RevocationLists) {
  const std::string list = clients().revoke({clients().issue(user("eve"))});
  EXPECT_EQ(fault_of({"u.pem", clients().pem(), "u.crl", "text\n" + list}), "(loaded)");
  // An empty file is a mistake, not the end of all revocations.
  for (const std::string& text : {std::string(), std::string("nothing\n"), clients().pem()})
    EXPECT_THAT(fault_of({"u.pem", clients().pem(), "u.crl", text}), HasSubstr("u.crl: holds no revocation list"));
  EXPECT_THAT(fault_of({"u.pem", clients().pem(), "u.crl", list + list.substr(0, list.size() / 2)}),
              HasSubstr("u.crl: revocation list 2 cannot be used"));
  EXPECT_THAT(fault_of({"u.pem", clients().pem(), "u.crl", Authority("Users").revoke({})}),
              AllOf(HasSubstr("u.crl: revocation list 1 cannot be used"), HasSubstr("u.pem")));
}

TEST(ClientLoad, FaultsBesideOthers) {
  TicketKeys tickets;
  std::vector<CertificatePem> pems;
  pems.push_back(pem_of({}));
  pems.push_back(pem_of(authority().issue({.dns = {"mail.example.test"}}), "1"));
  const ClientTrust trust = {"u.pem", "", "", ""};
  const auto front = FrontContext::load(pems, Version::Tls12, tickets, &trust);
  ASSERT_FALSE(front.ok());
  EXPECT_THAT(std::string(front.status().message()), AllOf(HasSubstr("/etc/tls/0.crt: "), HasSubstr("\nu.pem: ")));
}

}  // namespace
}  // namespace postern::tls::test
