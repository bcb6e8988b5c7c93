// SPDX-License-Identifier: GPL-3.0-or-later
// What the TLS benches put before a simulated mail program: the gate's TLS, and OpenSSL's for comparison. Both behave
// alike: bytes in, bytes out, no socket.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/block_pool.h"
#include "base/outbox.h"
#include "perf/wire/tls.h"
#include "tls/channel.h"
#include "tls/client_hello.h"
#include "tls/context.h"
#include "tls/tickets.h"

namespace postern::bench {

// A self-signed certificate for mail.example.test, made at the first call: PEM texts.
struct Identity {
  std::string chain;
  std::string key;
};
const Identity& ecdsa_identity();

struct FreeTls {
  void operator()(SSL* tls) const {
    // Without a goodbye OpenSSL declares the session's ticket unfit to resume.
    SSL_set_shutdown(tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls);
  }
};

// Any TLS endpoint of OpenSSL over memory.
class OpenSslEnd {
 public:
  OpenSslEnd(SSL_CTX* context, bool as_front);
  // Takes what the other side sent and goes on with the handshake. False: it failed.
  bool shake_hands(std::string_view came);
  bool is_done() const { return SSL_is_init_finished(tls_.get()) == 1; }
  void write(std::string_view plain);
  // Opens all that came; returns how many bytes of plaintext it was.
  size_t read(std::string_view came);
  // What it wants to send.
  std::string take_output();
  SSL* tls() const { return tls_.get(); }

 private:
  std::unique_ptr<SSL, FreeTls> tls_;
};

// The gate's front half, as a session uses it: hello, choice of the certificate, handshake, records.
class GateFront {
 public:
  struct Shared {
    Shared();
    tls::TicketKeys tickets;
    std::unique_ptr<tls::FrontContext> context;
    BlockPool pool;
    std::string plain = std::string(20000, '\0');
  };

  explicit GateFront(Shared& shared) : shared_(&shared) {}
  GateFront(GateFront&&) = delete;
  ~GateFront() { output_.drop(shared_->pool, false); }

  bool shake_hands(std::string_view came);
  bool is_done() const { return done_; }
  void write(std::string_view plain);
  size_t read(std::string_view came);
  std::string take_output();
  // The same without the copy: what a gate does, whose kernel takes the bytes from where they lie.
  void drop_output();
  // Gives back what an idle session does not hold.
  void settle() {
    drop_output();
    shared_->pool.trim();
  }

 private:
  Shared* shared_;
  std::unique_ptr<tls::ClientHelloReader> hello_ =
      std::make_unique<tls::ClientHelloReader>();  // until the handshake is done
  tls::Channel channel_;
  Outbox output_;
  bool done_ = false;
};

// OpenSSL in the gate's place, set up as the proxies do that use it.
class OpenSslFront {
 public:
  struct Shared {
    Shared();
    wire::Context context;
  };

  explicit OpenSslFront(Shared& shared) : end_(shared.context.get(), false) {}
  bool shake_hands(std::string_view came) { return end_.shake_hands(came); }
  bool is_done() const { return end_.is_done(); }
  void write(std::string_view plain) { end_.write(plain); }
  size_t read(std::string_view came) { return end_.read(came); }
  std::string take_output() { return end_.take_output(); }
  void drop_output() { BIO_reset(SSL_get_wbio(end_.tls())); }
  // The memory that stands in for the socket is not the session's.
  void settle() { SSL_set_bio(end_.tls(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())); }

 private:
  OpenSslEnd end_;
};

}  // namespace postern::bench
