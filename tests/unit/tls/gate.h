// SPDX-License-Identifier: GPL-3.0-or-later
// Gate: our end of a TLS connection, driven as a session drives it, and the bytes carried between it and a Peer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/block_pool.h"
#include "base/outbox.h"
#include "peer.h"
#include "tls/channel.h"
#include "tls/client_hello.h"
#include "tls/context.h"

namespace postern::tls::test {

class Gate {
 public:
  // The front: reads the hello, chooses the certificate, shakes hands. `protocol` is the ALPN name that is served.
  explicit Gate(const FrontContext& context, std::string protocol = "imap", FrontWishes wishes = {});
  // The back, which speaks first.
  Gate(const BackContext& context, std::string_view name, const BackSession* resume = nullptr);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void feed(std::string_view cipher);
  // The ciphertext that is to be sent.
  std::string take();
  [[nodiscard]] bool write(std::string_view plain) { return channel_.write(plain, out_, pool_); }
  void close() { channel_.close(out_, pool_); }
  // Plaintext that has arrived since the last call.
  std::string read() { return std::exchange(plain_, {}); }

  bool done() const { return done_; }
  bool was_told_close() const { return closed_; }
  Failure failure() const { return failure_; }
  const ClientHello& hello() const { return hello_.hello(); }
  Channel& channel() { return channel_; }
  BlockPool& pool() { return pool_; }
  // True if nothing is lent and nothing waits.
  bool holds_nothing() const { return out_.idle() && pool_.lent() == 0; }

 private:
  void on_hello_record(std::span<const char> record);
  void on_record(std::span<const char> record);
  void shake_hands(std::span<const char> record);

  const FrontContext* front_ = nullptr;
  std::string protocol_;
  FrontWishes wishes_;
  RecordReader reader_;  // until the hello is whole
  ClientHelloReader hello_;
  Channel channel_;
  BlockPool pool_;
  Outbox out_;
  std::string plain_;
  bool done_ = false;
  bool closed_ = false;
  Failure failure_ = Failure::None;
};

// Carries ciphertext both ways, cut into pieces of at most `piece` bytes, until both are silent. Handshakes happen on
// the way.
void converse(Peer& peer, Gate& gate, size_t piece = SIZE_MAX);

// A front context of these certificates; a fault in them ends the test.
std::unique_ptr<FrontContext> front_of(const std::vector<Leaf>& leaves, TicketKeys& tickets,
                                       Version min_version = Version::Tls12, const ClientTrust* clients = nullptr);
// The files that a leaf was read from: "/etc/tls/0.crt" and "/etc/tls/0.key".
CertificatePem pem_of(const Leaf& leaf, const std::string& number = "0");
// One that serves mail.example.test with an ECDSA certificate, and tickets that live as long.
const FrontContext& plain_front();

}  // namespace postern::tls::test
