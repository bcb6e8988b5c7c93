// SPDX-License-Identifier: GPL-3.0-or-later
// What we do inside the TLS library, where its interface has no call for it. Only channel.cc uses it.
//
// All of it reaches into the structures of exactly the build that is linked in (subprojects/wolfssl checks that both
// see the same ones). With a distribution's library these functions do nothing, and the library does as it likes: it
// keeps more memory, copies more often, and ends some handshakes without a word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

struct WOLFSSL;

namespace postern::tls {

// Frees what the library keeps of the handshake though it is over: some 500 bytes of extensions a session.
void free_handshake_state(WOLFSSL* ssl);

// Sends a fatal alert under the keys of the moment.
void send_fatal_alert(WOLFSSL* ssl, int alert);

// While it lives, the library reads records into `room` and decrypts them there, instead of into memory that it
// allocates, wipes and frees for each record. `room` must hold one whole record.
class LentInput {
 public:
  LentInput(WOLFSSL* ssl, std::span<char> room);
  ~LentInput();
  LentInput(const LentInput&) = delete;
  LentInput& operator=(const LentInput&) = delete;

  // As wolfSSL_read() into the front of `room`.
  int read();

 private:
  WOLFSSL* ssl_;
  std::span<char> room_;
  bool lent_ = false;
};

// While it lives, the library builds records in `room`, one behind the other. A record that does not fit goes through
// the library's own memory.
class LentOutput {
 public:
  LentOutput(WOLFSSL* ssl, std::span<char> room);
  ~LentOutput();
  LentOutput(const LentOutput&) = delete;
  LentOutput& operator=(const LentOutput&) = delete;

  // For the send callback. True: the bytes lie in `room` behind those that were sent before, and the next record will
  // be built behind them. False: they lie elsewhere, and `room` is not used any more.
  bool sent(const char* bytes, size_t size);
  // Whether the library's copy of `text` into the next record would be a slow one (base/copy.h).
  bool copies_slowly(std::string_view text) const;

 private:
  WOLFSSL* ssl_;
  char* next_ = nullptr;  // where the next record begins; null: not in `room`
  bool lent_ = false;
};

}  // namespace postern::tls
