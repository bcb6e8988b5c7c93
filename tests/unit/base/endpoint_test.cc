// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/endpoint.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Endpoint, ReadsWhatItWrites) {
  for (const char* text : {"192.0.2.7:143", "[2001:db8::7]:993", "[::1]:1", "0.0.0.0:65535"}) {
    const std::optional<Endpoint> endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->text(), text);
  }
}

TEST(Endpoint, TakesTheDefaultPort) {
  EXPECT_EQ(Endpoint::parse("192.0.2.7", 143)->text(), "192.0.2.7:143");
  EXPECT_EQ(Endpoint::parse("[::1]", 143)->text(), "[::1]:143");
  EXPECT_EQ(Endpoint::parse("::1", 143)->text(), "[::1]:143");
  EXPECT_EQ(Endpoint::parse("192.0.2.7:144", 143)->text(), "192.0.2.7:144");
  EXPECT_FALSE(Endpoint::parse("192.0.2.7"));
}

TEST(Endpoint, RefusesWhatIsNoEndpoint) {
  for (const char* text : {"", ":143", "mail.example.test:143", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536",
                           "192.0.2.7:-1", "192.0.2.7: 143", "192.0.2:143", "[192.0.2.7]:143", "[::1", "[::1]143",
                           "[::1]x:143", "unix:/run/socket", "1.2.3.4:143x"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Endpoint, PassesThroughSockaddr) {
  for (const char* text : {"192.0.2.7:143", "[2001:db8::7]:993"}) {
    sockaddr_storage storage;
    const Endpoint endpoint = *Endpoint::parse(text);
    const socklen_t size = endpoint.to_sockaddr(storage);
    EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size), endpoint);
    EXPECT_FALSE(Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), 4));
  }
}

// A dual-stack listener reports IPv4 peers as ::ffff:a.b.c.d; logs and limits must see the IPv4 address.
TEST(Endpoint, UnmapsMappedIpv4) {
  sockaddr_storage storage;
  const socklen_t size = Endpoint::parse("[::ffff:192.0.2.7]:143")->to_sockaddr(storage);
  EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)->text(), "192.0.2.7:143");
}

TEST(Network, ContainsByPrefix) {
  const Network ten = *Network::parse("10.0.0.0/8");
  EXPECT_TRUE(ten.contains(*Endpoint::parse("10.255.1.2:1")));
  EXPECT_FALSE(ten.contains(*Endpoint::parse("11.0.0.1:1")));
  EXPECT_FALSE(ten.contains(*Endpoint::parse("[::1]:1")));
  const Network odd = *Network::parse("192.0.2.128/25");
  EXPECT_TRUE(odd.contains(*Endpoint::parse("192.0.2.129:1")));
  EXPECT_FALSE(odd.contains(*Endpoint::parse("192.0.2.127:1")));
  EXPECT_TRUE(Network::parse("::/0")->contains(*Endpoint::parse("[2001:db8::1]:1")));
  EXPECT_TRUE(Network::parse("192.0.2.7")->contains(*Endpoint::parse("192.0.2.7:9")));
  EXPECT_FALSE(Network::parse("192.0.2.7")->contains(*Endpoint::parse("192.0.2.6:9")));
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "x/8", "::/129", ""}) {
    EXPECT_FALSE(Network::parse(text)) << text;
  }
}

}  // namespace
}  // namespace postern
