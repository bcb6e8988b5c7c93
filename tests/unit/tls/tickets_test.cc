// SPDX-License-Identifier: GPL-3.0-or-later
// Session tickets: they resume, across contexts and key rotations, and a ticket that cannot be opened costs nothing
// but a full handshake.
#include "tls/tickets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

struct Visit {
  bool done = false;
  bool resumed = false;
  bool agreed = false;  // the mail program says the same
  bool carries_data = false;
  Session session;
};

Visit visit(const FrontContext& front, int version, SSL_SESSION* resume, const std::string& suite13 = "") {
  PeerSettings settings;
  settings.min_version = settings.max_version = version;
  settings.suites13 = suite13;
  settings.resume = resume;
  Peer peer = Peer::mail_program(settings);
  Gate gate(front);
  converse(peer, gate);
  Visit result;
  result.done = peer.done() && gate.done() && gate.failure() == Failure::None;
  if (!result.done) return result;
  result.resumed = gate.channel().resumed();
  result.agreed = peer.resumed() == result.resumed;
  const bool wrote = peer.write("a1 NOOP\r\n") && gate.write("* OK\r\n");
  converse(peer, gate);
  result.carries_data = wrote && gate.read() == "a1 NOOP\r\n" && peer.read() == "* OK\r\n";
  result.session = peer.session();
  return result;
}

#define EXPECT_VISIT(visit_, resumed_)     \
  do {                                     \
    EXPECT_TRUE((visit_).done);            \
    EXPECT_EQ((visit_).resumed, resumed_); \
    EXPECT_TRUE((visit_).agreed);          \
    EXPECT_TRUE((visit_).carries_data);    \
  } while (false)

std::unique_ptr<FrontContext> context(TicketKeys& tickets) {
  return front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets);
}

class Tickets : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Both, Tickets, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Tickets, Resume) {
  TicketKeys keys;
  const auto front = context(keys);
  Visit last = visit(*front, GetParam(), nullptr);
  EXPECT_VISIT(last, false);
  // Again and again, each time with the newest ticket.
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(last.session, nullptr);
    Visit next = visit(*front, GetParam(), last.session.get());
    EXPECT_VISIT(next, true);
    if (next.session != nullptr) last.session = std::move(next.session);
  }
}

TEST_P(Tickets, ResumeAtAnotherContext) {
  TicketKeys keys;
  const auto before = context(keys);
  const auto after = context(keys);  // after a reload: another certificate even
  const Visit first = visit(*before, GetParam(), nullptr);
  ASSERT_NE(first.session, nullptr);
  EXPECT_VISIT(visit(*after, GetParam(), first.session.get()), true);
}

TEST_P(Tickets, TwoRotationsAreSurvived) {
  TicketKeys keys;
  const auto front = context(keys);
  const Visit first = visit(*front, GetParam(), nullptr);
  ASSERT_NE(first.session, nullptr);
  keys.rotate();
  EXPECT_VISIT(visit(*front, GetParam(), first.session.get()), true);
  keys.rotate();
  EXPECT_VISIT(visit(*front, GetParam(), first.session.get()), true);
  keys.rotate();
  EXPECT_VISIT(visit(*front, GetParam(), first.session.get()), false);
}

// TLS 1.3 hands out a new ticket at each resumption, of the newest key: who comes once a day never pays again.
TEST(Tickets, RenewedWithTheNewestKey) {
  TicketKeys keys;
  const auto front = context(keys);
  Visit last = visit(*front, TLS1_3_VERSION, nullptr);
  for (int rotation = 0; rotation < 7; ++rotation) {
    keys.rotate();
    ASSERT_NE(last.session, nullptr);
    last = visit(*front, TLS1_3_VERSION, last.session.get());
    EXPECT_VISIT(last, true);
  }
}

TEST_P(Tickets, KeysOfAnotherProcess) {
  TicketKeys keys;
  TicketKeys others;
  const auto front = context(keys);
  const auto stranger = context(others);
  const Visit first = visit(*front, GetParam(), nullptr);
  ASSERT_NE(first.session, nullptr);
  EXPECT_VISIT(visit(*stranger, GetParam(), first.session.get()), false);
}

// A ticket with any byte changed is refused without an alert.
TEST_P(Tickets, DamagedTicket) {
  TicketKeys keys;
  const auto front = context(keys);
  const Visit first = visit(*front, GetParam(), nullptr);
  ASSERT_NE(first.session, nullptr);
  const unsigned char* ticket = nullptr;
  size_t size = 0;
  SSL_SESSION_get0_ticket(first.session.get(), &ticket, &size);
  ASSERT_GT(size, 64u);
  std::vector<unsigned char> der(static_cast<size_t>(i2d_SSL_SESSION(first.session.get(), nullptr)));
  unsigned char* out = der.data();
  i2d_SSL_SESSION(first.session.get(), &out);
  const auto found = std::search(der.begin(), der.end(), ticket, ticket + size);
  ASSERT_NE(found, der.end());
  for (size_t place = 0; place < size; place += 13) {
    std::vector<unsigned char> damaged = der;
    damaged[static_cast<size_t>(found - der.begin()) + place] ^= 0x20;
    const unsigned char* in = damaged.data();
    const Session session(d2i_SSL_SESSION(nullptr, &in, static_cast<long>(damaged.size())));
    ASSERT_NE(session, nullptr);
    SCOPED_TRACE(place);
    EXPECT_VISIT(visit(*front, GetParam(), session.get()), false);
  }
}

// The ticket that a mail program has from OpenSSL, with some bytes of an application in it.
Session ticket_of_other_software(int version, size_t more) {
  PeerSettings settings;
  settings.min_version = settings.max_version = version;
  Peer former = Peer::mail_server(authority().issue({.dns = {"mail.example.test"}}), settings);
  SSL_CTX_set_session_ticket_cb(
      SSL_get_SSL_CTX(former.ssl()),
      [](SSL* ssl, void* size) {
        const std::string data(*static_cast<size_t*>(size), 'd');
        return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data.data(), data.size());
      },
      nullptr, &more);
  Peer program = Peer::mail_program(settings);
  for (int i = 0; i < 3; ++i) {
    program.shake_hands();
    former.feed(program.take());
    former.shake_hands();
    program.feed(former.take());
  }
  program.read();
  return program.session();
}

// What a mail program keeps of the software that was here before is longer than our tickets, and costs it no login.
TEST_P(Tickets, TicketOfOtherSoftware) {
  TicketKeys keys;
  const auto front = context(keys);
  for (const size_t more : {size_t{0}, size_t{90}, size_t{600}}) {
    const Session session = ticket_of_other_software(GetParam(), more);
    ASSERT_NE(session, nullptr);
    const unsigned char* ticket = nullptr;
    size_t size = 0;
    SSL_SESSION_get0_ticket(session.get(), &ticket, &size);
    EXPECT_GT(size, 142 + more);
    EXPECT_VISIT(visit(*front, GetParam(), session.get()), false);
  }
}

// A ticket of one version offered with a hello of the other.
TEST_P(Tickets, OtherVersion) {
  TicketKeys keys;
  const auto front = context(keys);
  const Visit first = visit(*front, GetParam(), nullptr);
  ASSERT_NE(first.session, nullptr);
  const int other = GetParam() == TLS1_2_VERSION ? TLS1_3_VERSION : TLS1_2_VERSION;
  EXPECT_VISIT(visit(*front, other, first.session.get()), false);
}

TEST(Tickets, ResumeWithOtherCiphers) {
  TicketKeys keys;
  const auto front = context(keys);
  for (const char* suite : {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    const Visit first = visit(*front, TLS1_3_VERSION, nullptr, suite);
    EXPECT_VISIT(first, false);
    EXPECT_VISIT(visit(*front, TLS1_3_VERSION, first.session.get(), suite), true);
  }
}

// The keys themselves.

struct Sealed {
  std::array<uint8_t, TicketKeys::name_size> name{};
  std::array<uint8_t, TicketKeys::iv_size> iv{};
  std::array<uint8_t, TicketKeys::mac_size> mac{};
  std::array<uint8_t, 200> bytes{};
};

Sealed seal(TicketKeys& keys) {
  Sealed sealed;
  sealed.bytes.fill('t');
  EXPECT_TRUE(keys.seal(sealed.bytes, sealed.name, sealed.iv, sealed.mac));
  return sealed;
}

TicketKeys::Opened open(TicketKeys& keys, Sealed sealed) {
  const TicketKeys::Opened opened = keys.open(sealed.bytes, sealed.name, sealed.iv, sealed.mac);
  if (opened != TicketKeys::Opened::Unknown) {
    EXPECT_TRUE(std::all_of(sealed.bytes.begin(), sealed.bytes.end(), [](uint8_t byte) { return byte == 't'; }));
  }
  return opened;
}

TEST(TicketKeys, SealAndOpen) {
  TicketKeys keys;
  const Sealed sealed = seal(keys);
  EXPECT_FALSE(std::all_of(sealed.bytes.begin(), sealed.bytes.end(), [](uint8_t byte) { return byte == 't'; }));
  EXPECT_EQ(open(keys, sealed), TicketKeys::Opened::Newest);
  keys.rotate();
  EXPECT_EQ(open(keys, sealed), TicketKeys::Opened::Older);
  keys.rotate();
  EXPECT_EQ(open(keys, sealed), TicketKeys::Opened::Older);
  EXPECT_NE(seal(keys).name, sealed.name);
  keys.rotate();
  EXPECT_EQ(open(keys, sealed), TicketKeys::Opened::Unknown);
}

TEST(TicketKeys, GatesThatShareKeysOpenEachOthersTickets) {
  std::vector<Secret> keys;
  keys.emplace_back(std::string(TicketKeys::shared_size, 'n'));
  keys.emplace_back(std::string(TicketKeys::shared_size, 'o'));
  TicketKeys one, other;
  one.share(keys);
  const Sealed by_old = [&] {
    TicketKeys former;
    former.share(std::span(keys).last(1));
    return seal(former);
  }();
  const Sealed sealed = seal(one);
  EXPECT_EQ(open(other, sealed), TicketKeys::Opened::Unknown);
  other.share(keys);
  EXPECT_EQ(open(other, sealed), TicketKeys::Opened::Newest);
  EXPECT_EQ(open(other, by_old), TicketKeys::Opened::Older);
  // Shared keys are not the gate's to change.
  for (int turn = 0; turn < 5; ++turn)
    other.rotate();
  EXPECT_EQ(open(other, sealed), TicketKeys::Opened::Newest);
  other.share({});
  EXPECT_EQ(open(other, sealed), TicketKeys::Opened::Unknown);
  // Keys of its own stay when there was nothing shared before.
  const Sealed own = seal(other);
  other.share({});
  EXPECT_EQ(open(other, own), TicketKeys::Opened::Newest);
}

TEST(TicketKeys, SameTicketNeverLooksTheSame) {
  TicketKeys keys;
  const Sealed one = seal(keys);
  const Sealed two = seal(keys);
  EXPECT_EQ(one.name, two.name);
  EXPECT_NE(one.iv, two.iv);
  EXPECT_NE(one.bytes, two.bytes);
  // The library gives up on a mac with an all-zero half.
  EXPECT_TRUE(std::any_of(one.mac.begin() + 16, one.mac.end(), [](uint8_t byte) { return byte != 0; }));
}

TEST(TicketKeys, NothingOpensWhatIsNotOurs) {
  TicketKeys keys;
  const Sealed sealed = seal(keys);
  EXPECT_EQ(open(keys, Sealed{}), TicketKeys::Opened::Unknown);
  Sealed changed = sealed;
  changed.bytes[100] ^= 1;
  EXPECT_EQ(open(keys, changed), TicketKeys::Opened::Unknown);
  changed = sealed;
  changed.iv[0] ^= 1;
  EXPECT_EQ(open(keys, changed), TicketKeys::Opened::Unknown);
  changed = sealed;
  changed.mac[0] ^= 1;
  EXPECT_EQ(open(keys, changed), TicketKeys::Opened::Unknown);
  changed = sealed;
  changed.name[0] ^= 1;
  EXPECT_EQ(open(keys, changed), TicketKeys::Opened::Unknown);
}

// Two threads seal and open while the third rotates: a ticket opens or is unknown, never as something else.
TEST(TicketKeys, ManyThreads) {
  TicketKeys keys;
  const auto work = [&keys] {
    for (int i = 0; i < 5000; ++i)
      open(keys, seal(keys));
  };
  std::thread one(work);
  std::thread two(work);
  for (int i = 0; i < 500; ++i)
    keys.rotate();
  one.join();
  two.join();
  EXPECT_EQ(open(keys, seal(keys)), TicketKeys::Opened::Newest);
}

// One context serves two threads, as it serves two reactors.
TEST(Tickets, TwoThreadsOneContext) {
  TicketKeys keys;
  const auto front = context(keys);
  std::array<int, 2> resumed{};
  const auto work = [&front](int& count) {
    Session session;
    for (int i = 0; i < 60; ++i) {
      Visit now = visit(*front, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION, nullptr);
      Visit again = visit(*front, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION, now.session.get());
      count += again.done && again.resumed;
    }
  };
  std::thread one(work, std::ref(resumed[0]));
  std::thread two(work, std::ref(resumed[1]));
  for (int i = 0; i < 100; ++i) {
    if (i % 50 == 0) keys.rotate();
    std::this_thread::yield();
  }
  one.join();
  two.join();
  EXPECT_EQ(resumed[0], 60);
  EXPECT_EQ(resumed[1], 60);
}

}  // namespace
}  // namespace postern::tls::test
