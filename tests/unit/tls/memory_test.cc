// SPDX-License-Identifier: GPL-3.0-or-later
// What a TLS session holds, counted at malloc: the linker gives our calls of malloc and free (the TLS library's among
// them, OpenSSL's not) to the ledger below.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gate.h"

extern "C" {
void* __real_malloc(size_t size);
void __real_free(void* block);
void* __wrap_malloc(size_t size);
void __wrap_free(void* block);
}

namespace {

struct Ledger {
  std::unordered_map<void*, size_t> blocks;
  size_t bytes = 0;  // requested and not yet freed
  size_t largest = 0;
  size_t mallocs = 0;
  size_t unwiped = 0;  // blocks that were freed with anything but zeros in them
};
Ledger* ledger = nullptr;

}  // namespace

void* __wrap_malloc(size_t size) {
  void* block = __real_malloc(size);
  if (ledger == nullptr || block == nullptr) return block;
  ledger->blocks[block] = size;
  ledger->bytes += size;
  ledger->largest = std::max(ledger->largest, size);
  ++ledger->mallocs;
  return block;
}

void __wrap_free(void* block) {
  if (ledger != nullptr) {
    if (const auto found = ledger->blocks.find(block); found != ledger->blocks.end()) {
      const auto* bytes = static_cast<const char*>(block);
      bool zero = true;
      for (size_t i = 0; i < found->second; ++i)
        zero &= bytes[i] == 0;
      ledger->unwiped += zero ? 0 : 1;
      ledger->bytes -= found->second;
      ledger->blocks.erase(found);
    }
  }
  __real_free(block);
}

namespace postern::tls::test {
namespace {

class Memory : public ::testing::Test {
 protected:
  Memory() {
    // Made before the counting begins.
    plain_front();
    thawing_context(true);
    ledger = &ledger_;
  }
  ~Memory() override { ledger = nullptr; }

  struct Idle {
    size_t after_handshake = 0;
    size_t after_traffic = 0;
  };

  // Bytes of one session of many.
  Idle idle(const PeerSettings& settings, const FrontContext& front = plain_front(), FrontWishes wishes = {}) {
    constexpr size_t count = 20;
    std::vector<std::unique_ptr<Gate>> gates;
    std::vector<Peer> peers;
    const size_t before = ledger_.bytes;
    for (size_t i = 0; i < count; ++i) {
      gates.push_back(std::make_unique<Gate>(front, "imap", wishes));
      peers.push_back(Peer::mail_program(settings));
      converse(peers.back(), *gates.back());
      EXPECT_TRUE(gates.back()->done());
      const Findings findings = gates.back()->channel().take_findings();
      EXPECT_EQ(findings.peer.has_value(), !settings.own.chain.empty());
      EXPECT_EQ(findings.exporter_binding.empty(), !wishes.exporter_binding);
      gates.back()->pool().trim();
    }
    Idle result;
    result.after_handshake = (ledger_.bytes - before) / count;
    for (size_t i = 0; i < count; ++i) {
      exchange(peers[i], *gates[i]);
      gates[i]->pool().trim();
    }
    result.after_traffic = (ledger_.bytes - before) / count;
    gates.clear();
    EXPECT_EQ(ledger_.bytes, before);
    return result;
  }

  static void exchange(Peer& peer, Gate& gate) {
    for (const size_t size : {size_t{20}, size_t{1000}, size_t{16384}, size_t{70000}, size_t{1}}) {
      const std::string text(size, 't');
      EXPECT_TRUE(peer.write(text) && gate.write(text));
      converse(peer, gate);
      EXPECT_EQ(gate.read(), text);
      EXPECT_EQ(peer.read(), text);
    }
  }

  Ledger ledger_;
};

TEST_F(Memory, IdleSessions) {
  static_assert(sizeof(Channel) <= 40);
  struct {
    const char* name;
    int version;
    const char* suite13;
    size_t bytes_max;
  } const kinds[] = {{"TLS 1.3, AES-128-GCM", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", 2900},
                     {"TLS 1.3, AES-256-GCM", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", 2900},
                     {"TLS 1.3, ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", 3100},
                     {"TLS 1.2, AES-256-GCM", TLS1_2_VERSION, "", 2900}};
  for (const auto& kind : kinds) {
    const Idle bytes = idle({.min_version = kind.version, .max_version = kind.version, .suites13 = kind.suite13});
    std::cout << kind.name << ": an idle session holds " << bytes.after_handshake << " bytes, after traffic "
              << bytes.after_traffic << ", and a Channel of " << sizeof(Channel) << "\n";
    EXPECT_LE(bytes.after_handshake, kind.bytes_max) << kind.name;
    EXPECT_EQ(bytes.after_traffic, bytes.after_handshake) << kind.name;
  }
}

TEST_F(Memory, ResumedSessionsHoldNoMore) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerSettings settings{.min_version = version, .max_version = version};
    const size_t full = idle(settings).after_handshake;
    Peer first = Peer::mail_program(settings);
    Gate gate(plain_front());
    converse(first, gate);
    first.read();
    const Session session = first.session();
    settings.resume = session.get();
    const Idle resumed = idle(settings);
    EXPECT_LE(resumed.after_handshake, full + 64);
    EXPECT_EQ(resumed.after_traffic, resumed.after_handshake);
  }
}

// A certificate that was read and a binding that was taken leave nothing behind.
TEST_F(Memory, FindingsLeaveNothing) {
  const Authority users("Users");
  const ClientTrust trust = {"u.pem", users.pem(), "u.crl", users.revoke({})};
  TicketKeys tickets;
  const auto asking = front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets, Version::Tls12, &trust);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    PeerSettings settings{.min_version = version, .max_version = version};
    const size_t plain = idle(settings).after_traffic;
    EXPECT_LE(idle(settings, plain_front(), {.exporter_binding = true}).after_traffic, plain);
    EXPECT_LE(idle(settings, *asking).after_traffic, plain);
    settings.own = users.issue({.common_name = "joe", .dns = {}, .purpose = "clientAuth"});
    EXPECT_LE(idle(settings, *asking, {.exporter_binding = true}).after_traffic, plain);
  }
}

// A session with a mail server, whose ticket is kept elsewhere or not at all.
TEST_F(Memory, BackSessions) {
  BackTrust trust;
  trust.ca = authority().pem();
  const auto back = BackContext::load(trust, Version::Tls12);
  ASSERT_TRUE(back.ok());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Leaf leaf = authority().issue({.dns = {"store1.example.test"}});
    Peer peer = Peer::mail_server(leaf, {.min_version = version, .max_version = version});
    const size_t before = ledger_.bytes;
    Gate gate(**back, "store1.example.test");
    converse(peer, gate);
    ASSERT_TRUE(gate.done());
    gate.pool().trim();
    const size_t with_ticket = ledger_.bytes - before;
    BackSession session = gate.channel().take_session(**back);
    ASSERT_TRUE(session);
    const size_t with_copy = ledger_.bytes - before;
    session = BackSession();
    const size_t without = ledger_.bytes - before;
    std::cout << "back, TLS 1." << (version == TLS1_3_VERSION ? 3 : 2) << ": " << with_ticket
              << " bytes with its ticket, " << without << " without, and the session kept " << with_copy - without
              << "\n";
    EXPECT_LT(without, with_ticket);
    EXPECT_LE(with_copy - without, 700u);
  }
}

// A connection that came from another process holds what it held there.
TEST_F(Memory, ThawedSessionsHoldNoMore) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const PeerSettings settings{.min_version = version, .max_version = version};
    const size_t plain = idle(settings).after_traffic;
    Peer peer = Peer::mail_program(settings);
    Gate gate(plain_front());
    const size_t before = ledger_.bytes;
    converse(peer, gate);
    for (int i = 0; i < 3; ++i) {
      Packer packer;
      ASSERT_TRUE(gate.channel().freeze(packer));
      Unpacker unpacker(packer.reveal());
      gate.channel() = Channel::thaw(unpacker, true);
      ASSERT_TRUE(gate.channel());
      if (i == 1) std::cout << "a frozen session is " << packer.reveal().size() << " bytes\n";
    }
    exchange(peer, gate);
    gate.pool().trim();
    EXPECT_LE(ledger_.bytes - before, plain) << version;
  }
}

TEST_F(Memory, KeyUpdatesDoNotGrowASession) {
  Peer peer = Peer::mail_program({.min_version = TLS1_3_VERSION});
  Gate gate(plain_front());
  converse(peer, gate);
  exchange(peer, gate);
  gate.pool().trim();
  const size_t before = ledger_.bytes;
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    exchange(peer, gate);
  }
  gate.pool().trim();
  EXPECT_EQ(ledger_.bytes, before);
}

// Once blocks are at hand, records cost no allocation at all, of either size and direction.
TEST_F(Memory, RecordsAllocateNothing) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Peer peer = Peer::mail_program({.min_version = version, .max_version = version});
    Gate gate(plain_front());
    converse(peer, gate);
    exchange(peer, gate);
    const size_t before = ledger_.mallocs;
    exchange(peer, gate);
    // A record in the slow place of a page takes a block for its detour; one text is in place, its neighbour is not.
    EXPECT_LE(ledger_.mallocs, before + 1);
  }
}

TEST_F(Memory, EverythingFreedIsWiped) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Peer peer = Peer::mail_program({.min_version = version, .max_version = version});
    {
      Gate gate(plain_front());
      converse(peer, gate);
      exchange(peer, gate);
      gate.close();
      gate.take();
      ledger_.unwiped = 0;  // what follows is the library's alone
      gate.channel() = Channel();
      EXPECT_EQ(ledger_.unwiped, 0u);
      gate.pool().trim();
    }
    const size_t mallocs = ledger_.mallocs;
    Gate handshake_only(plain_front());
    Peer again = Peer::mail_program({.min_version = version, .max_version = version});
    ledger_.unwiped = 0;
    converse(again, handshake_only);
    EXPECT_GT(ledger_.mallocs, mallocs + 10);
    EXPECT_EQ(ledger_.unwiped, 0u);
  }
}

// A session that waits for the rest of a record holds that record's bytes in its reader, and nothing in the library.
TEST_F(Memory, HalfARecordIsNotTheLibrarys) {
  Peer peer = Peer::mail_program();
  Gate gate(plain_front());
  converse(peer, gate);
  gate.pool().trim();
  const size_t before = ledger_.bytes;
  ASSERT_TRUE(peer.write(std::string(16384, 'x')));
  const std::string cipher = peer.take();
  gate.feed(std::string_view(cipher).substr(0, 3000));
  EXPECT_EQ(ledger_.bytes, before);
}

}  // namespace
}  // namespace postern::tls::test
