// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/wire/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace postern::wire {

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this == &other) return *this;
  close();
  socket_ = std::exchange(other.socket_, -1);
  tls_ = std::exchange(other.tls_, nullptr);
  waits_to_write_ = other.waits_to_write_;
  return *this;
}

bool Stream::start_tls(SSL_CTX* context, bool as_front) {
  tls_ = SSL_new(context);
  if (tls_ == nullptr || SSL_set_fd(tls_, socket_) != 1) return false;
  if (as_front) {
    SSL_set_connect_state(tls_);
  } else {
    SSL_set_accept_state(tls_);
  }
  return true;
}

IoResult Stream::tls_result(int outcome) {
  switch (SSL_get_error(tls_, outcome)) {
    case SSL_ERROR_WANT_READ: waits_to_write_ = false; return IoResult::Wait;
    case SSL_ERROR_WANT_WRITE: waits_to_write_ = true; return IoResult::Wait;
    case SSL_ERROR_ZERO_RETURN: return IoResult::Ended;
    case SSL_ERROR_SYSCALL: ERR_clear_error(); return errno == 0 ? IoResult::Cut : IoResult::Reset;
    default: {
      // OpenSSL 3.0 reports a FIN without close_notify as a protocol fault of its own.
      const bool cut = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
      ERR_clear_error();
      return cut ? IoResult::Cut : IoResult::Failed;
    }
  }
}

IoResult Stream::handshake() {
  if (tls_ == nullptr) return IoResult::Done;
  errno = 0;
  const int outcome = SSL_do_handshake(tls_);
  return outcome == 1 ? IoResult::Done : tls_result(outcome);
}

Transfer Stream::read(char* into, size_t room) {
  errno = 0;
  if (tls_ != nullptr) {
    size_t size = 0;
    const int outcome = SSL_read_ex(tls_, into, room, &size);
    if (outcome == 1) return {IoResult::Done, size};
    return {tls_result(outcome), 0};
  }
  const ssize_t size = ::recv(socket_, into, room, 0);
  if (size > 0) return {IoResult::Done, static_cast<size_t>(size)};
  if (size == 0) return {IoResult::Ended, 0};
  waits_to_write_ = false;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {IoResult::Wait, 0};
  return {IoResult::Reset, 0};
}

Transfer Stream::write(std::string_view bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    errno = 0;
    if (tls_ != nullptr) {
      size_t size = 0;
      const int outcome = SSL_write_ex(tls_, bytes.data() + sent, bytes.size() - sent, &size);
      if (outcome != 1) return {tls_result(outcome), sent};
      sent += size;
      continue;
    }
    const ssize_t size = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size < 0) {
      waits_to_write_ = true;
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {IoResult::Wait, sent};
      return {IoResult::Reset, sent};
    }
    sent += static_cast<size_t>(size);
  }
  return {IoResult::Done, sent};
}

void Stream::close() {
  if (tls_ != nullptr) {
    if (SSL_is_init_finished(tls_)) SSL_shutdown(tls_);
    ERR_clear_error();
    SSL_free(tls_);
    tls_ = nullptr;
  }
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace postern::wire
