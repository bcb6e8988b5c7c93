// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions with mail servers: the second connection is resumed, at the mail server that was verified and nowhere else.
#include "tls/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

constexpr char host[] = "store1.example.test";

std::unique_ptr<BackContext> back_of(const std::vector<std::string>& pins = {}) {
  BackTrust trust;
  trust.ca_name = "/etc/postern/ca.pem";
  trust.ca = authority().pem();
  trust.pins = pins;
  return *BackContext::load(trust, Version::Tls12);
}

Leaf good_leaf() {
  return authority().issue({.dns = {host, "store2.example.test", "IP:2001:db8::7"}});
}

class Sessions : public ::testing::TestWithParam<int> {
 protected:
  PeerSettings only() const { return only(GetParam()); }
  static PeerSettings only(int version) {
    PeerSettings settings;
    settings.min_version = settings.max_version = version;
    return settings;
  }
  int other_version() const { return GetParam() == TLS1_2_VERSION ? TLS1_3_VERSION : TLS1_2_VERSION; }

  struct Visit {
    Failure failure = Failure::None;
    bool resumed = false;
    BackSession session;
  };
  // One connection to `peer`, from handshake to the first words.
  static Visit visit(Peer peer, const BackContext& context, const BackSession* resume, std::string_view name = host) {
    Visit visit;
    Gate gate(context, name, resume);
    converse(peer, gate);
    visit.failure = gate.failure();
    if (!gate.done()) return visit;
    visit.resumed = gate.channel().resumed();
    EXPECT_EQ(peer.resumed(), visit.resumed);
    EXPECT_TRUE(peer.write("* OK ready\r\n"));
    converse(peer, gate);
    EXPECT_EQ(gate.read(), "* OK ready\r\n");
    EXPECT_TRUE(gate.write("a1 NOOP\r\n"));
    converse(peer, gate);
    EXPECT_EQ(peer.read(), "a1 NOOP\r\n");
    visit.session = gate.channel().take_session(context);
    EXPECT_FALSE(gate.channel().take_session(context));
    return visit;
  }

  std::unique_ptr<BackContext> back_ = back_of();
};
INSTANTIATE_TEST_SUITE_P(Both, Sessions, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Sessions, Resume) {
  const Peer server = Peer::mail_server(good_leaf(), only());
  Visit last = visit(server.next_connection(), *back_, nullptr);
  EXPECT_EQ(last.failure, Failure::None);
  EXPECT_FALSE(last.resumed);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(last.session);
    const BackSession session = std::move(last.session);
    last = visit(server.next_connection(), *back_, &session);
    EXPECT_EQ(last.failure, Failure::None);
    EXPECT_TRUE(last.resumed);
  }
}

TEST_P(Sessions, ResumeWithOtherCiphers) {
  for (const char* suite : {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    PeerSettings settings = only();
    settings.suites13 = suite;
    const Peer server = Peer::mail_server(good_leaf(), settings);
    const Visit first = visit(server.next_connection(), *back_, nullptr);
    EXPECT_TRUE(visit(server.next_connection(), *back_, &first.session).resumed);
  }
}

TEST_P(Sessions, ResumeAnAddress) {
  const Peer server = Peer::mail_server(good_leaf(), only());
  const Visit first = visit(server.next_connection(), *back_, nullptr, "2001:db8::7");
  EXPECT_TRUE(visit(server.next_connection(), *back_, &first.session, "2001:0db8:0::7").resumed);
}

// The same server would resume it, and its certificate has the name too; but for this name nobody has looked.
TEST_P(Sessions, AnotherNameNeverResumes) {
  const Peer server = Peer::mail_server(good_leaf(), only());
  const Visit first = visit(server.next_connection(), *back_, nullptr);
  ASSERT_TRUE(first.session);
  const Visit other = visit(server.next_connection(), *back_, &first.session, "store2.example.test");
  EXPECT_EQ(other.failure, Failure::None);
  EXPECT_FALSE(other.resumed);
  const Visit wrong = visit(server.next_connection(), *back_, &first.session, "store9.example.test");
  EXPECT_EQ(wrong.failure, Failure::WrongName);
  EXPECT_TRUE(visit(server.next_connection(), *back_, &first.session).resumed);
}

TEST_P(Sessions, AnotherContextNeverResumes) {
  const Peer server = Peer::mail_server(good_leaf(), only());
  const Visit first = visit(server.next_connection(), *back_, nullptr);
  ASSERT_TRUE(first.session);
  const auto same_trust = back_of();
  EXPECT_FALSE(visit(server.next_connection(), *same_trust, &first.session).resumed);
  const auto stricter = back_of({std::string(32, 'x')});
  EXPECT_EQ(visit(server.next_connection(), *stricter, &first.session).failure, Failure::PinMismatch);
}

// A session is no word for a server that cannot resume it: that one proves itself, or is refused.
TEST_P(Sessions, AnotherServerIsVerified) {
  const Peer server = Peer::mail_server(good_leaf(), only());
  const Visit first = visit(server.next_connection(), *back_, nullptr);
  ASSERT_TRUE(first.session);
  for (const bool same_suite : {true, false}) {
    PeerSettings settings = only();
    if (!same_suite) {
      settings.suites = "ECDHE-ECDSA-AES256-GCM-SHA384";
      settings.suites13 = "TLS_AES_256_GCM_SHA384";
    }
    const Visit twin = visit(Peer::mail_server(good_leaf(), settings), *back_, &first.session);
    EXPECT_EQ(twin.failure, Failure::None);
    EXPECT_FALSE(twin.resumed);
    EXPECT_TRUE(twin.session);
    const Leaf wrong_name = authority().issue({.dns = {"other.example.test"}});
    EXPECT_EQ(visit(Peer::mail_server(wrong_name, settings), *back_, &first.session).failure, Failure::WrongName);
    const Leaf stranger = Authority("Strangers").issue({.dns = {host}});
    EXPECT_EQ(visit(Peer::mail_server(stranger, settings), *back_, &first.session).failure,
              Failure::CertificateRefused);
    const Leaf false_key = with_false_key(good_leaf());
    EXPECT_NE(visit(Peer::mail_server(false_key, settings), *back_, &first.session).failure, Failure::None);
  }
  // The mail server itself has one certificate or another: it knows its ticket.
  EXPECT_TRUE(visit(server.next_connection(), *back_, &first.session).resumed);
}

TEST_P(Sessions, AnotherServerWithoutExtendedMasterSecret) {
  const Visit first = visit(Peer::mail_server(good_leaf(), only()), *back_, nullptr);
  ASSERT_TRUE(first.session);
  PeerSettings settings = only();
  settings.extended_master_secret = false;
  const Visit twin = visit(Peer::mail_server(good_leaf(), settings), *back_, &first.session);
  EXPECT_EQ(twin.failure, Failure::None);
  EXPECT_FALSE(twin.resumed);
}

// The library cannot go back from a session's version. Without the session all is well.
TEST_P(Sessions, ServerThatChangedItsVersion) {
  const Visit first = visit(Peer::mail_server(good_leaf(), only()), *back_, nullptr);
  ASSERT_TRUE(first.session);
  const Peer changed = Peer::mail_server(good_leaf(), only(other_version()));
  EXPECT_NE(visit(changed.next_connection(), *back_, &first.session).failure, Failure::None);
  EXPECT_EQ(visit(changed.next_connection(), *back_, nullptr).failure, Failure::None);
}

TEST_P(Sessions, PinnedServer) {
  const Leaf leaf = Authority("Strangers").issue({.dns = {"whatever.test"}});
  const auto pinned = back_of({pin_of(leaf.chain)});
  const Peer server = Peer::mail_server(leaf, only());
  const Visit first = visit(server.next_connection(), *pinned, nullptr);
  ASSERT_TRUE(first.session);
  EXPECT_TRUE(visit(server.next_connection(), *pinned, &first.session).resumed);
  EXPECT_EQ(visit(Peer::mail_server(good_leaf(), only()), *pinned, &first.session).failure, Failure::PinMismatch);
}

// The mail server has seen our certificate, and its ticket is long.
TEST_P(Sessions, WithOwnCertificate) {
  const Authority gates("Gates");
  BackTrust trust;
  trust.ca = authority().pem();
  trust.own = pem_of(gates.issue({.common_name = "gate", .dns = {}, .key = KeyKind::Rsa2048, .purpose = "clientAuth"}));
  const auto back = *BackContext::load(trust, Version::Tls12);
  PeerSettings settings = only();
  settings.asks = &gates;
  const Peer server = Peer::mail_server(good_leaf(), settings);
  const Visit first = visit(server.next_connection(), *back, nullptr);
  ASSERT_TRUE(first.session);
  Visit second = visit(server.next_connection(), *back, &first.session);
  EXPECT_EQ(second.failure, Failure::None);
  EXPECT_TRUE(second.resumed);
}

TEST_P(Sessions, NoneBeforeTheTicket) {
  Peer peer = Peer::mail_server(good_leaf(), only());
  Gate gate(*back_, host);
  EXPECT_FALSE(gate.channel().take_session(*back_));
  while (!gate.done()) {
    EXPECT_FALSE(gate.channel().take_session(*back_));
    peer.feed(gate.take());
    peer.shake_hands();
    gate.feed(peer.take());
  }
  EXPECT_EQ(static_cast<bool>(gate.channel().take_session(*back_)), GetParam() == TLS1_2_VERSION);
  converse(peer, gate);
  EXPECT_EQ(static_cast<bool>(gate.channel().take_session(*back_)), GetParam() == TLS1_3_VERSION);
}

TEST_P(Sessions, NoneOfAnotherContextOrOfTheFront) {
  Peer peer = Peer::mail_server(good_leaf(), only());
  Gate gate(*back_, host);
  converse(peer, gate);
  ASSERT_TRUE(gate.done());
  EXPECT_FALSE(gate.channel().take_session(*back_of()));
  EXPECT_TRUE(gate.channel().take_session(*back_));
  EXPECT_FALSE(Channel().take_session(*back_));
  Peer program = Peer::mail_program(only());
  Gate front(plain_front());
  converse(program, front);
  ASSERT_TRUE(front.done());
  EXPECT_FALSE(front.channel().take_session(*back_));
}

// A connection that ended badly leaves no session (RFC 5246, section 7.2.2).
TEST_P(Sessions, NoneOfAFailedConnection) {
  Peer peer = Peer::mail_server(good_leaf(), only());
  Gate gate(*back_, host);
  converse(peer, gate);
  ASSERT_TRUE(peer.write("* OK ready\r\n"));
  std::string cipher = peer.take();
  cipher.back() = static_cast<char>(cipher.back() ^ 1);
  gate.feed(cipher);
  ASSERT_EQ(gate.failure(), Failure::BadRecord);
  EXPECT_FALSE(gate.channel().take_session(*back_));
}

// The collection. Where it takes no connection to tell sessions apart, one server serves all.

class Collection : public ::testing::Test {
 protected:
  BackSession session(const std::string& name = host) { return session(*back_, name); }
  BackSession session(const BackContext& context, const std::string& name) {
    Peer peer = server_.next_connection();
    Gate gate(context, name);
    converse(peer, gate);
    return gate.channel().take_session(context);
  }

  std::unique_ptr<BackContext> back_ = back_of();
  Peer server_ = Peer::mail_server(good_leaf());
  BackSessions sessions_;
};

TEST_F(Collection, TakesWhatFits) {
  const auto other = back_of();
  sessions_.keep("192.0.2.1:993", session());
  EXPECT_FALSE(sessions_.take(*back_, "192.0.2.2:993", host));
  EXPECT_FALSE(sessions_.take(*back_, "192.0.2.1:993", "store2.example.test"));
  EXPECT_FALSE(sessions_.take(*other, "192.0.2.1:993", host));
  EXPECT_EQ(sessions_.size(), 1u);
  EXPECT_TRUE(sessions_.take(*back_, "192.0.2.1:993", host));
  EXPECT_FALSE(sessions_.take(*back_, "192.0.2.1:993", host));
  EXPECT_EQ(sessions_.size(), 0u);
}

TEST_F(Collection, Forgets) {
  sessions_.keep("one", session());
  sessions_.keep("two", session());
  sessions_.keep("one", session());
  sessions_.forget("one");
  EXPECT_EQ(sessions_.size(), 1u);
  EXPECT_FALSE(sessions_.take(*back_, "one", host));
  EXPECT_TRUE(sessions_.take(*back_, "two", host));
}

TEST_F(Collection, KeepsNothingEmpty) {
  sessions_.keep("192.0.2.1:993", BackSession());
  EXPECT_EQ(sessions_.size(), 0u);
}

TEST_F(Collection, FindsAnAddressInAnyForm) {
  sessions_.keep("[2001:db8::7]:993", session("2001:db8::7"));
  EXPECT_TRUE(sessions_.take(*back_, "[2001:db8::7]:993", "2001:0DB8::7"));
}

TEST_F(Collection, OneServerLeavesRoomForOthers) {
  sessions_.keep("quiet", session());
  for (size_t i = 0; i < BackSessions::count_each_max + 3; ++i)
    sessions_.keep("busy", session());
  EXPECT_EQ(sessions_.size(), BackSessions::count_each_max + 1);
  EXPECT_TRUE(sessions_.take(*back_, "quiet", host));
}

// Of one server the sessions of an old configuration go first.
TEST_F(Collection, OldestGoesFirst) {
  const auto other = back_of();
  sessions_.keep("one", session(*other, host));
  for (size_t i = 0; i < BackSessions::count_each_max; ++i)
    sessions_.keep("one", session());
  EXPECT_FALSE(sessions_.take(*other, "one", host));
  EXPECT_TRUE(sessions_.take(*back_, "one", host));
}

TEST_F(Collection, HasALimit) {
  for (size_t i = 0; i < BackSessions::count_max + 2; ++i)
    sessions_.keep(std::to_string(i), session());
  EXPECT_EQ(sessions_.size(), BackSessions::count_max);
  EXPECT_FALSE(sessions_.take(*back_, "1", host));
  EXPECT_TRUE(sessions_.take(*back_, "2", host));
}

}  // namespace
}  // namespace postern::tls::test
