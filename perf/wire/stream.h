// SPDX-License-Identifier: GPL-3.0-or-later
// Stream: one non-blocking connection, plain or TLS by OpenSSL, as the load generator and the simulated mail server use
// it. OpenSSL on purpose: the gate's TLS is measured and checked against an implementation that is not its own.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace postern::wire {

enum class IoResult : uint8_t {
  Done,    // all that was asked, or for read: `size` bytes came
  Wait,    // nothing (more) can move now; ask again when the kernel says so
  Ended,   // the peer ended its side in order (close_notify, or FIN on a plain connection)
  Cut,     // the peer's FIN came without close_notify
  Reset,   // the peer or the network broke the connection
  Failed,  // TLS found a fault
};

struct Transfer {
  IoResult result = IoResult::Wait;
  size_t size = 0;  // bytes that moved, also when `result` is Wait
};

// Owns the socket and the TLS object. A default Stream is closed. Cheap to move; never copied.
class Stream {
 public:
  Stream() = default;
  explicit Stream(int socket) : socket_(socket) {}
  Stream(Stream&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        tls_(std::exchange(other.tls_, nullptr)),
        waits_to_write_(other.waits_to_write_) {}
  Stream& operator=(Stream&& other) noexcept;
  ~Stream() { close(); }

  bool is_open() const { return socket_ >= 0; }
  int socket() const { return socket_; }
  // Null on a plain connection.
  SSL* tls() const { return tls_; }

  // From here on the connection speaks TLS. False: out of memory. The context must outlive nothing: OpenSSL counts it.
  [[nodiscard]] bool start_tls(SSL_CTX* context, bool as_front);
  // Goes on with the handshake; Done on a plain connection.
  IoResult handshake();

  // Done: 1 .. `room` bytes lie at `into`. Read until Wait: a level-triggered epoll does not see what TLS has buffered.
  Transfer read(char* into, size_t room);
  // Done: all of `bytes` was taken. With Wait, `size` bytes were taken and the rest must be given again, unchanged.
  Transfer write(std::string_view bytes);
  // The last Wait needs the socket to become writable (else: readable).
  bool waits_to_write() const { return waits_to_write_; }

  // Sends close_notify if TLS stands, then closes. Never blocks.
  void close();

 private:
  IoResult tls_result(int outcome);

  int socket_ = -1;
  SSL* tls_ = nullptr;
  bool waits_to_write_ = false;
};

}  // namespace postern::wire
