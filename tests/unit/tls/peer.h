// SPDX-License-Identifier: GPL-3.0-or-later
// Peer: the other end of a TLS connection, played by OpenSSL over memory. A mail program or a mail server that knows
// nothing of our code.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pki.h"

namespace postern::tls::test {

struct SessionFree {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, SessionFree>;

struct PeerSettings {
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string suites;      // TLS 1.2, OpenSSL's names; empty: its default
  std::string suites13;    // TLS 1.3
  std::string signatures;  // "ECDSA+SHA256:RSA-PSS+SHA256"; empty: its default
  std::string groups;      // "P-256"
  std::string sni = "mail.example.test";
  std::vector<std::string> alpn;
  SSL_SESSION* resume = nullptr;
  Leaf own = {};                    // a mail program's certificate, shown when it is asked for
  const Authority* asks = nullptr;  // a mail server's: who vouches for the certificate that it demands
  bool tickets = true;              // of a mail server
  bool extended_master_secret = true;
};

class Peer {
 public:
  static Peer mail_program(const PeerSettings& settings = {});
  static Peer mail_server(const Leaf& leaf, const PeerSettings& settings = {});
  // The same mail server at its next connection: it knows its tickets.
  Peer next_connection() const;

  enum class Progress { Going, Done, Failed };
  // Goes as far as the bytes fed so far allow.
  Progress shake_hands();
  bool done() const { return SSL_is_init_finished(ssl_.get()) == 1; }

  void feed(std::string_view cipher);
  // The ciphertext that is to be sent.
  std::string take();

  bool write(std::string_view plain);
  // All plaintext that has arrived.
  std::string read();
  // close_notify: say it, and whether the other end said it.
  void close() { SSL_shutdown(ssl_.get()); }
  bool was_told_close() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

  // The alert that the other end sent last, in RFC 8446's words: "no application protocol". Empty: none.
  const std::string& alert() const { return notes_->alert; }
  // The newest ticket, owned by the caller.
  Session session() const;
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  std::string alpn() const;
  // The subject of the certificate that the other end showed.
  std::string subject() const;
  bool shown_ecdsa() const;
  // The secret of this label from the key log ("CLIENT_TRAFFIC_SECRET_0"), as bytes.
  std::string secret(const std::string& label) const;
  SSL* ssl() const { return ssl_.get(); }

 private:
  struct Notes {
    std::string alert;
    std::vector<Session> sessions;
    std::vector<std::string> keys;  // lines of the key log
  };
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  Peer(const SSL_METHOD* method, const PeerSettings& settings);
  Peer(std::shared_ptr<Notes> notes, std::shared_ptr<SSL_CTX> context);
  void use(const Leaf& leaf);
  void open();

  std::shared_ptr<Notes> notes_;  // its address is known to the callbacks
  std::shared_ptr<SSL_CTX> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace postern::tls::test
