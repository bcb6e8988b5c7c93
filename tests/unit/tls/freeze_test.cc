// SPDX-License-Identifier: GPL-3.0-or-later
// A connection becomes bytes and goes on elsewhere; its peer, which is OpenSSL, must notice nothing.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "gate.h"

namespace postern::tls::test {
namespace {

struct Kind {
  int version;
  bool is_front;
  std::string suite;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << (kind.version == TLS1_2_VERSION ? "TLS 1.2 " : "TLS 1.3 ") << (kind.is_front ? "front " : "back ")
       << kind.suite;
}

class Freeze : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(peer_.done());
    ASSERT_TRUE(gate_.done());
    gate_.channel().take_findings();
  }

  PeerSettings settings() const {
    PeerSettings made{.min_version = GetParam().version, .max_version = GetParam().version};
    (GetParam().version == TLS1_2_VERSION ? made.suites : made.suites13) = GetParam().suite;
    return made;
  }

  // To another process and back, as far as the channel can tell.
  void move_house() {
    Packer packer;
    ASSERT_TRUE(gate_.channel().freeze(packer));
    Unpacker unpacker(packer.reveal());
    Channel thawed = Channel::thaw(unpacker, GetParam().is_front);
    ASSERT_TRUE(thawed);
    EXPECT_TRUE(unpacker.whole());
    gate_.channel() = std::move(thawed);
  }

  void exchange(const std::string& text) {
    ASSERT_TRUE(peer_.write(text + " there"));
    ASSERT_TRUE(gate_.write(text + " back"));
    converse(peer_, gate_);
    EXPECT_EQ(gate_.read(), text + " there");
    EXPECT_EQ(peer_.read(), text + " back");
    EXPECT_EQ(gate_.failure(), Failure::None);
  }

  void update_keys(bool asks_back) {
    ASSERT_EQ(SSL_key_update(peer_.ssl(), asks_back ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    exchange("updated");
  }

  struct Made {
    Peer peer;
    std::unique_ptr<Gate> gate;
  };
  Made make() const {
    static const Leaf leaf = authority().issue({.dns = {"store1.example.test"}});
    static const std::unique_ptr<BackContext> back = [] {
      BackTrust trust;
      trust.ca = authority().pem();
      return *BackContext::load(trust, Version::Tls12);
    }();
    Made made = GetParam().is_front
                    ? Made{Peer::mail_program(settings()), std::make_unique<Gate>(plain_front())}
                    : Made{Peer::mail_server(leaf, settings()), std::make_unique<Gate>(*back, "store1.example.test")};
    converse(made.peer, *made.gate);
    made.peer.read();
    return made;
  }

  Made made_ = make();
  Peer& peer_ = made_.peer;
  Gate& gate_ = *made_.gate;
};

const Kind kinds[] = {
    {TLS1_3_VERSION, true, "TLS_AES_128_GCM_SHA256"},         {TLS1_3_VERSION, true, "TLS_AES_256_GCM_SHA384"},
    {TLS1_3_VERSION, true, "TLS_CHACHA20_POLY1305_SHA256"},   {TLS1_2_VERSION, true, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, true, "ECDHE-ECDSA-AES256-GCM-SHA384"},  {TLS1_2_VERSION, true, "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {TLS1_3_VERSION, false, "TLS_AES_128_GCM_SHA256"},        {TLS1_3_VERSION, false, "TLS_CHACHA20_POLY1305_SHA256"},
    {TLS1_2_VERSION, false, "ECDHE-ECDSA-AES128-GCM-SHA256"}, {TLS1_2_VERSION, false, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};
INSTANTIATE_TEST_SUITE_P(All, Freeze, ::testing::ValuesIn(kinds));

TEST_P(Freeze, GoesOn) {
  exchange("before");
  for (int i = 0; i < 5; ++i) {
    const std::string version(gate_.channel().version()), cipher(gate_.channel().cipher());
    move_house();
    EXPECT_EQ(gate_.channel().version(), version);
    EXPECT_EQ(gate_.channel().cipher(), cipher);
    exchange("after " + std::to_string(i));
    exchange(std::string(70000, 'm'));
  }
  EXPECT_TRUE(gate_.holds_nothing());
}

TEST_P(Freeze, AtOnceAfterTheHandshake) {
  move_house();
  move_house();
  exchange("first words");
}

// Every cut of a record: what there is of it moves with the connection.
TEST_P(Freeze, WithinARecord) {
  size_t size = 2;
  for (size_t cut = 1; cut < size; ++cut) {
    ASSERT_TRUE(peer_.write("a1 NOOP\r\n"));
    const std::string cipher = peer_.take();
    size = cipher.size();
    gate_.feed(std::string_view(cipher).substr(0, cut));
    move_house();
    gate_.feed(std::string_view(cipher).substr(cut));
    EXPECT_EQ(gate_.read(), "a1 NOOP\r\n") << cut;
  }
  EXPECT_GT(size, 20u);
}

TEST_P(Freeze, KeyUpdates) {
  if (GetParam().version != TLS1_3_VERSION) return;  // there are none before
  for (const bool asks_back : {false, true, true}) {
    move_house();
    update_keys(asks_back);
    move_house();
    exchange("with the new keys");
    update_keys(asks_back);
    update_keys(!asks_back);
    exchange("with the newest keys");
  }
}

TEST_P(Freeze, Ends) {
  move_house();
  peer_.close();
  converse(peer_, gate_);
  EXPECT_TRUE(gate_.was_told_close());
  gate_.close();
  move_house();  // half closed: it must not say close_notify twice
  gate_.close();
  converse(peer_, gate_);
  EXPECT_EQ(peer_.read(), "");
  EXPECT_TRUE(peer_.was_told_close());
  EXPECT_TRUE(gate_.holds_nothing());
}

TEST_P(Freeze, AForgedRecordIsStillOne) {
  move_house();
  ASSERT_TRUE(peer_.write("a1 NOOP\r\n"));
  std::string cipher = peer_.take();
  cipher.back() ^= 1;
  gate_.feed(cipher);
  EXPECT_EQ(gate_.failure(), Failure::BadRecord);
}

// Bytes that are none, and those of the other side, make no channel and nothing worse.
TEST_P(Freeze, OtherBytesAreNoConnection) {
  Packer packer;
  ASSERT_TRUE(gate_.channel().freeze(packer));
  const std::string bytes(packer.reveal());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Unpacker cut(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(Channel::thaw(cut, GetParam().is_front)) << size;
  }
  Unpacker other(bytes);
  EXPECT_FALSE(Channel::thaw(other, !GetParam().is_front));
}

TEST(FreezeEarly, NotWithinAHandshake) {
  Peer peer = Peer::mail_program();
  Gate gate(plain_front());
  peer.shake_hands();
  gate.feed(peer.take());
  Packer packer;
  EXPECT_FALSE(gate.channel().freeze(packer));
  EXPECT_FALSE(Channel().freeze(packer));
}

}  // namespace
}  // namespace postern::tls::test
