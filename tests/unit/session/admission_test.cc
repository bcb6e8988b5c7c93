// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/admission.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <thread>

namespace postern::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Endpoint at(const std::string& address) {
  return *Endpoint::parse(address, 4711);
}

Limits without_limits() {
  Limits limits;
  limits.sessions_per_address = limits.unauthenticated = limits.unauthenticated_per_address = 0;
  limits.handshake_rate_per_address = 0;
  limits.exempt.clear();
  return limits;
}

// A session's part of the budget for an idle one.
TEST(Admission, TakesSixteenBytesOfASession) {
  EXPECT_LE(sizeof(Admission::Share), 16u);
}

// Each limit counts what it says and nothing else; what leaves makes room, once.
TEST(Admission, CountsByAddress) {
  Limits limits = without_limits();
  limits.sessions_per_address = 2;
  Admission admission;
  Admission::Share one, two, three, four;
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, one), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, two), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, three), Limit::SessionsPerAddress);
  EXPECT_EQ(admission.admit(at("192.0.2.8"), false, limits, four), std::nullopt);
  admission.release(three);  // holds nothing
  admission.logged_in(one);  // stays a session
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, three), Limit::SessionsPerAddress);
  admission.release(two);
  admission.release(two);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, three), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, two), Limit::SessionsPerAddress);
}

// One customer has 2^64 addresses: they are one.
TEST(Admission, TakesTheFirstHalfOfAnIPv6Address) {
  Limits limits = without_limits();
  limits.sessions_per_address = 1;
  Admission admission;
  Admission::Share one, two, three;
  EXPECT_EQ(admission.admit(at("[2001:db8:1:2::7]"), false, limits, one), std::nullopt);
  EXPECT_EQ(admission.admit(at("[2001:db8:1:2:ffff::1]"), false, limits, two), Limit::SessionsPerAddress);
  EXPECT_EQ(admission.admit(at("[2001:db8:1:3::7]"), false, limits, three), std::nullopt);
}

TEST(Admission, CountsByNetwork) {
  Limits limits = without_limits();
  limits.sessions_per_network = 1;
  Admission admission;
  Admission::Share one, two, three, four, five;
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, one), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.200"), false, limits, two), Limit::SessionsPerNetwork);
  EXPECT_EQ(admission.admit(at("192.0.3.7"), false, limits, two), std::nullopt);
  EXPECT_EQ(admission.admit(at("[2001:db8:1:2::7]"), false, limits, three), std::nullopt);
  EXPECT_EQ(admission.admit(at("[2001:db8:1:ffff::7]"), false, limits, four), Limit::SessionsPerNetwork);
  EXPECT_EQ(admission.admit(at("[2001:db8:2:2::7]"), false, limits, four), std::nullopt);
  // A reload may change the prefix in the middle of a session's life: it gives back what it took.
  limits.network_prefix_v4 = 16;
  admission.release(one);
  limits.network_prefix_v4 = 24;
  EXPECT_EQ(admission.admit(at("192.0.2.9"), false, limits, five), std::nullopt);
}

// Who is turned away by the address has not been counted in his network.
TEST(Admission, CountsNothingOfWhomItTurnsAway) {
  Limits limits = without_limits();
  limits.sessions_per_address = 1;
  limits.sessions_per_network = 2;
  Admission admission;
  Admission::Share one, two, three;
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, one), std::nullopt);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, two), Limit::SessionsPerAddress);
  EXPECT_EQ(admission.unauthenticated(), 1u);
  EXPECT_EQ(admission.admit(at("192.0.2.8"), false, limits, three), std::nullopt);
}

TEST(Admission, CountsThoseWithoutLogin) {
  Limits limits = without_limits();
  limits.unauthenticated = 2;
  limits.unauthenticated_per_address = 1;
  Admission admission;
  Admission::Share one, two, three;
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, one), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, two), Limit::UnauthenticatedPerAddress);
  EXPECT_EQ(admission.admit(at("192.0.2.8"), false, limits, two), std::nullopt);
  EXPECT_EQ(admission.admit(at("192.0.2.9"), false, limits, three), Limit::Unauthenticated);
  admission.logged_in(one);
  admission.logged_in(one);
  EXPECT_EQ(admission.unauthenticated(), 1u);
  EXPECT_EQ(admission.admit(at("192.0.2.7"), false, limits, three), std::nullopt);
  admission.release(one);
  EXPECT_EQ(admission.unauthenticated(), 2u);
}

TEST(Admission, LeavesTheExemptAlone) {
  Limits limits = without_limits();
  limits.sessions_per_address = limits.sessions_per_network = limits.unauthenticated = 1;
  limits.handshake_rate = limits.handshake_rate_per_address = 1;
  limits.exempt = {*Network::parse("192.0.2.80/32")};
  Admission admission;
  std::deque<Admission::Share> shares(40);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(admission.admit(at("192.0.2.80"), false, limits, shares[i]), std::nullopt);
    EXPECT_EQ(admission.admit(at("192.0.2.81"), true, limits, shares[20 + i]), std::nullopt)
        << "the listener's webmail";
    EXPECT_EQ(admission.shake_hands(shares[i], limits, Instant(seconds(1))), std::nullopt);
  }
  EXPECT_EQ(admission.unauthenticated(), 40u);
  EXPECT_EQ(admission.addresses(), 0u);
  admission.set_memory_full(true);
  Admission::Share more;
  EXPECT_EQ(admission.admit(at("192.0.2.80"), false, limits, more), Limit::Memory);
  admission.set_memory_full(false);
  EXPECT_EQ(admission.admit(at("192.0.2.80"), false, limits, more), std::nullopt);
}

// The address: ten seconds' worth at once, then the rate; the gate: two seconds' worth.
TEST(Admission, PacesHandshakes) {
  Limits limits = without_limits();
  limits.handshake_rate_per_address = 2;
  Admission admission;
  Admission::Share here, there;
  ASSERT_EQ(admission.admit(at("192.0.2.7"), false, limits, here), std::nullopt);
  ASSERT_EQ(admission.admit(at("192.0.2.8"), false, limits, there), std::nullopt);
  const Instant begin = Instant(seconds(1000));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(admission.shake_hands(here, limits, begin), std::nullopt);
  EXPECT_EQ(admission.shake_hands(here, limits, begin), Limit::HandshakeRatePerAddress);
  EXPECT_EQ(admission.shake_hands(here, limits, begin + milliseconds(400)), Limit::HandshakeRatePerAddress);
  EXPECT_EQ(admission.shake_hands(there, limits, begin), std::nullopt);
  EXPECT_EQ(admission.shake_hands(here, limits, begin + milliseconds(500)), std::nullopt);
  EXPECT_EQ(admission.shake_hands(here, limits, begin + milliseconds(500)), Limit::HandshakeRatePerAddress);

  limits.handshake_rate_per_address = 0;
  limits.handshake_rate = 5;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(admission.shake_hands(i % 2 == 0 ? here : there, limits, begin), std::nullopt);
  EXPECT_EQ(admission.shake_hands(here, limits, begin), Limit::HandshakeRate);
  EXPECT_EQ(admission.shake_hands(here, limits, begin + milliseconds(200)), std::nullopt);
}

// An attacker with all of IPv6 fills the table of paces and no more, and those in it are forgotten in time.
TEST(Admission, KeepsItsMemory) {
  Limits limits = without_limits();
  limits.handshake_rate_per_address = 10;
  Admission admission;
  std::mt19937_64 random(7);
  Instant now = Instant(seconds(1000));
  for (int i = 0; i < 300'000; ++i) {
    Endpoint endpoint;
    endpoint.v6 = true;
    endpoint.address[0] = 0x20;
    for (size_t k = 1; k < 8; ++k)
      endpoint.address[k] = static_cast<uint8_t>(random());
    Admission::Share share;
    ASSERT_EQ(admission.admit(endpoint, false, limits, share), std::nullopt);
    ASSERT_EQ(admission.shake_hands(share, limits, now), std::nullopt);
    admission.release(share);
  }
  EXPECT_LE(admission.addresses(), Admission::paces_max);
  EXPECT_GE(admission.addresses(), Admission::paces_max / 2);
  now += seconds(20);
  for (int i = 0; i < 1000; ++i) {
    Admission::Share share;
    ASSERT_EQ(
        admission.admit(at("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)), false, limits, share),
        std::nullopt);
    ASSERT_EQ(admission.shake_hands(share, limits, now), std::nullopt);
    admission.release(share);
  }
  EXPECT_LE(admission.addresses(), 1000u);
}

// Reactors meet here: what all of them take and give back comes out even.
TEST(Admission, IsEvenAfterManyThreads) {
  Limits limits = without_limits();
  limits.sessions_per_address = limits.sessions_per_network = limits.unauthenticated_per_address = 50;
  limits.handshake_rate = 1000;
  Admission admission;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 20'000; ++i) {
        Admission::Share share;
        const std::string address = "192.0." + std::to_string(random() % 4) + "." + std::to_string(random() % 4);
        const bool admitted = !admission.admit(at(address), random() % 8 == 0, limits, share);
        if (admitted && random() % 2 == 0) admission.logged_in(share);
        if (admitted) (void)admission.shake_hands(share, limits, Instant(seconds(i)));
        admission.release(share);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(admission.unauthenticated(), 0u);
  EXPECT_EQ(admission.addresses(), 0u);
}

}  // namespace
}  // namespace postern::session
