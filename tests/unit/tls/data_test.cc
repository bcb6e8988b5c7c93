// SPDX-License-Identifier: GPL-3.0-or-later
// After the handshake: records in and out, key updates, renegotiation, forged records and the ways to end.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gate.h"

namespace postern::tls::test {
namespace {

// A connected pair of one version.
struct Pair {
  explicit Pair(int version, const std::string& suite13 = "")
      : peer(Peer::mail_program({.min_version = version, .max_version = version, .suites13 = suite13})),
        gate(plain_front()) {
    converse(peer, gate);
    peer.read();  // takes the tickets
  }
  Peer peer;
  Gate gate;
};

class Data : public ::testing::TestWithParam<int> {
 protected:
  Pair pair_{GetParam()};
  Peer& peer_ = pair_.peer;
  Gate& gate_ = pair_.gate;

  void SetUp() override {
    ASSERT_TRUE(peer_.done());
    ASSERT_TRUE(gate_.done());
  }
  // One record with `text` from the mail program.
  std::string sealed(const std::string& text) {
    EXPECT_TRUE(peer_.write(text));
    return peer_.take();
  }
};
INSTANTIATE_TEST_SUITE_P(Both, Data, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) { return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(Data, GluedRecordsAreAllRead) {
  std::string cipher;
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "a" + std::to_string(i) + " NOOP\r\n";
    expected += text;
    cipher += sealed(text);
  }
  gate_.feed(cipher);
  EXPECT_EQ(gate_.read(), expected);
}

TEST_P(Data, EveryCutOfARecordIsTheSame) {
  const size_t size = sealed("a1 NOOP\r\n").size();
  // The one above was never fed, so this pair is spent; each cut needs one of its own.
  for (size_t cut = 1; cut < size; ++cut) {
    Pair fresh(GetParam());
    ASSERT_TRUE(fresh.peer.write("a1 NOOP\r\n"));
    const std::string cipher = fresh.peer.take();
    fresh.gate.feed(std::string_view(cipher).substr(0, cut));
    EXPECT_EQ(fresh.gate.read(), "");
    fresh.gate.feed(std::string_view(cipher).substr(cut));
    EXPECT_EQ(fresh.gate.read(), "a1 NOOP\r\n");
    EXPECT_TRUE(fresh.gate.holds_nothing());
  }
}

TEST_P(Data, AllSizesUpToBeyondARecord) {
  for (const size_t size : {1, 2, 15, 16, 17, 1000, 1024, 4096, 16383, 16384, 16385, 32768, 65536, 100000}) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i)
      text[i] = static_cast<char>(i * 7 + size);
    ASSERT_TRUE(gate_.write(text));
    converse(peer_, gate_);
    EXPECT_EQ(peer_.read(), text) << size;
    ASSERT_TRUE(peer_.write(text));
    converse(peer_, gate_);
    EXPECT_EQ(gate_.read(), text) << size;
  }
  EXPECT_TRUE(gate_.holds_nothing());
}

TEST_P(Data, WritesGatherBehindEachOther) {
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const std::string text(static_cast<size_t>(i), static_cast<char>('a' + i % 26));
    ASSERT_TRUE(gate_.write(text));
    expected += text;
  }
  peer_.feed(gate_.take());
  EXPECT_EQ(peer_.read(), expected);
}

// Full records, as many as fit: no byte of framing beyond what the version needs.
TEST_P(Data, LargeWritesBecomeFullRecords) {
  ASSERT_TRUE(gate_.write(std::string(65536, 'x')));
  const size_t overhead = GetParam() == TLS1_2_VERSION ? 5 + 8 + 16 : 5 + 1 + 16;
  EXPECT_EQ(gate_.take().size(), 65536 + 4 * overhead);
}

TEST_P(Data, NothingToWriteIsNothing) {
  EXPECT_TRUE(gate_.write(""));
  EXPECT_EQ(gate_.take(), "");
  EXPECT_TRUE(gate_.holds_nothing());
}

TEST_P(Data, RecordsWithoutPlaintextAreTheLibrarysBusiness) {
  SSL_set_options(peer_.ssl(), SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
  const std::string text = "a1 NOOP\r\n";
  gate_.feed(sealed(text));
  EXPECT_EQ(gate_.read(), text);
  EXPECT_EQ(gate_.failure(), Failure::None);
}

// Any bit of a record turned over ends the connection.
TEST_P(Data, ForgedRecordsFail) {
  const size_t size = sealed("a1 LOGIN joe secret\r\n").size();
  for (size_t place = 0; place < size; ++place) {
    Pair fresh(GetParam());
    ASSERT_TRUE(fresh.peer.write("a1 LOGIN joe secret\r\n"));
    std::string cipher = fresh.peer.take();
    cipher[place] = static_cast<char>(cipher[place] ^ 0x01);
    fresh.gate.feed(cipher);
    EXPECT_EQ(fresh.gate.read(), "") << place;
    // A length that grew makes the reader wait for one more byte.
    if (fresh.gate.failure() == Failure::None) fresh.gate.feed(std::string(256, 'x'));
    EXPECT_NE(fresh.gate.failure(), Failure::None) << place;
  }
}

TEST_P(Data, ForgedRecordIsAnsweredWithAnAlertAndSticks) {
  std::string cipher = sealed("a1 NOOP\r\n");
  cipher.back() = static_cast<char>(cipher.back() ^ 1);
  gate_.feed(cipher);
  EXPECT_EQ(gate_.failure(), Failure::BadRecord);
  converse(peer_, gate_);
  peer_.read();
  EXPECT_EQ(peer_.alert(), "bad record mac");
  std::string room(64, '\0');
  Outbox out;
  EXPECT_EQ(gate_.channel().read(std::span<const char>(cipher).first(20), room, out, gate_.pool()).kind,
            Channel::Read::Kind::Failed);
  out.drop(gate_.pool(), false);
}

TEST_P(Data, ReplayedAndReorderedRecordsFail) {
  const std::string first = sealed("one");
  const std::string second = sealed("two");
  gate_.feed(first);
  EXPECT_EQ(gate_.read(), "one");
  gate_.feed(first);
  EXPECT_EQ(gate_.failure(), Failure::BadRecord);

  Pair fresh(GetParam());
  ASSERT_TRUE(fresh.peer.write("one"));
  fresh.peer.take();
  ASSERT_TRUE(fresh.peer.write("two"));
  fresh.gate.feed(fresh.peer.take());
  EXPECT_EQ(fresh.gate.failure(), Failure::BadRecord);
}

TEST_P(Data, TextAfterTheHandshakeIsNotTls) {
  gate_.feed("a1 LOGOUT\r\n");
  EXPECT_EQ(gate_.failure(), Failure::NotTls);
}

TEST_P(Data, CloseNotifyFromThePeer) {
  std::string cipher = sealed("a1 LOGOUT\r\n");
  peer_.close();
  cipher += peer_.take();
  gate_.feed(cipher);
  EXPECT_EQ(gate_.read(), "a1 LOGOUT\r\n");
  EXPECT_TRUE(gate_.was_told_close());
  EXPECT_EQ(gate_.failure(), Failure::None);
  // Only one direction is closed: the answer still travels (RFC 8446, section 6.1).
  ASSERT_TRUE(gate_.write("* BYE\r\na1 OK\r\n"));
  gate_.close();
  peer_.feed(gate_.take());
  EXPECT_EQ(peer_.read(), "* BYE\r\na1 OK\r\n");
  EXPECT_TRUE(peer_.was_told_close());
}

TEST_P(Data, CloseNotifyFromUsOnce) {
  ASSERT_TRUE(gate_.write("* BYE\r\n"));
  gate_.close();
  const std::string once = gate_.take();
  gate_.close();
  EXPECT_EQ(gate_.take(), "");
  peer_.feed(once);
  EXPECT_EQ(peer_.read(), "* BYE\r\n");
  EXPECT_TRUE(peer_.was_told_close());
  // What the mail program still had to say is read.
  gate_.feed(sealed("a1 NOOP\r\n"));
  EXPECT_EQ(gate_.read(), "a1 NOOP\r\n");
}

// A stream that just ends is no close_notify: whoever reads the socket's end sees that nobody said goodbye.
TEST_P(Data, TruncationIsNoClose) {
  const std::string cipher = sealed("a1 NOOP\r\n");
  gate_.feed(std::string_view(cipher).substr(0, cipher.size() - 1));
  EXPECT_EQ(gate_.read(), "");
  EXPECT_FALSE(gate_.was_told_close());
}

TEST_P(Data, PeersFatalAlertIsNamed) {
  std::string forged;
  ASSERT_TRUE(gate_.write("* OK\r\n"));
  forged = gate_.take();
  forged.back() = static_cast<char>(forged.back() ^ 1);
  peer_.feed(forged);
  peer_.read();  // refuses it and says so
  gate_.feed(peer_.take());
  EXPECT_EQ(gate_.failure(), Failure::PeerAlert);
  EXPECT_EQ(gate_.channel().alert(), 20);  // bad_record_mac
  EXPECT_FALSE(gate_.was_told_close());
}

TEST(Renegotiation, IsRefused) {
  Pair pair(TLS1_2_VERSION);
  ASSERT_EQ(SSL_renegotiate(pair.peer.ssl()), 1);
  pair.peer.shake_hands();
  pair.gate.feed(pair.peer.take());
  EXPECT_EQ(pair.gate.failure(), Failure::Renegotiation);
  pair.peer.feed(pair.gate.take());
  EXPECT_EQ(pair.peer.shake_hands(), Peer::Progress::Failed);
  EXPECT_EQ(pair.peer.alert(), "handshake failure");
}

TEST(KeyUpdate, FromThePeer) {
  Pair pair(TLS1_3_VERSION);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(SSL_key_update(pair.peer.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_TRUE(pair.peer.write("after the update"));
    converse(pair.peer, pair.gate);
    EXPECT_EQ(pair.gate.read(), "after the update");
    ASSERT_TRUE(pair.gate.write("* OK\r\n"));
    converse(pair.peer, pair.gate);
    EXPECT_EQ(pair.peer.read(), "* OK\r\n");
  }
}

TEST(KeyUpdate, BothWays) {
  Pair pair(TLS1_3_VERSION);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(SSL_key_update(pair.peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_TRUE(pair.peer.write("after the update"));
    pair.gate.feed(pair.peer.take());
    EXPECT_EQ(pair.gate.read(), "after the update");
    // Our own update waits in the outbox, in front of whatever is written next.
    ASSERT_TRUE(pair.gate.write(std::string(40000, 'y')));
    converse(pair.peer, pair.gate);
    EXPECT_EQ(pair.peer.read(), std::string(40000, 'y'));
    EXPECT_EQ(pair.gate.failure(), Failure::None);
  }
  EXPECT_TRUE(pair.gate.holds_nothing());
}

TEST(KeyUpdate, WithOtherCiphers) {
  for (const char* suite : {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    Pair pair(TLS1_3_VERSION, suite);
    ASSERT_EQ(SSL_key_update(pair.peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_TRUE(pair.peer.write("after the update"));
    converse(pair.peer, pair.gate);
    EXPECT_EQ(pair.gate.read(), "after the update");
    ASSERT_TRUE(pair.gate.write("* OK\r\n"));
    converse(pair.peer, pair.gate);
    EXPECT_EQ(pair.peer.read(), "* OK\r\n");
  }
}

TEST(Failure, EveryWordIsItsOwn) {
  std::vector<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(Failure::Internal); ++i) {
    const std::string_view word = failure_word(static_cast<Failure>(i));
    EXPECT_NE(word, "unknown");
    for (const std::string_view other : words)
      EXPECT_NE(word, other);
    words.push_back(word);
  }
}

}  // namespace
}  // namespace postern::tls::test
