// SPDX-License-Identifier: GPL-3.0-or-later
// What we do inside the TLS library, where its interface has no call for it.
//
// All of it reaches into the structures of exactly the build that is linked in (subprojects/wolfssl checks that both
// see the same ones). With a distribution's library these functions do nothing, and the library does as it likes: it
// keeps more memory, copies more often, ends some handshakes without a word, resumes no sessions with mail servers,
// cannot pin their keys, and no connection goes to another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/packing.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_SESSION;

namespace postern::tls {

// Frees what the library keeps of the handshake though it is over: some 500 bytes of extensions a session, and the
// ticket that a session with a mail server was resumed by, which is good for once (RFC 8446, appendix C.4).
void free_handshake_state(WOLFSSL* ssl);

// Lets `to` verify by the authorities and revocation lists of `from`, instead of by a copy. False: it cannot.
bool share_authorities(WOLFSSL_CTX* from, WOLFSSL_CTX* to);
// As wolfSSL_CTX_LoadCRLBuffer() of a DER form, but a list that has run out is loaded too: it fails those that it
// speaks of, not the gate.
int load_revocation_list(WOLFSSL_CTX* context, std::string_view der);

// Whether trust_keys() works.
bool can_trust_keys();
// The verify callback alone decides whether the mail server's certificate is right, but there must be one, and proof of
// its key.
void trust_keys(WOLFSSL* ssl);
// After a handshake in which a mail program showed a certificate: whether it proved to have the key. The library lets no
// other come so far; this is the second lock on that door.
bool peer_proved_key(const WOLFSSL* ssl);
// Whether the keys of a TLS 1.2 connection depend on all of its handshake (RFC 7627).
bool has_extended_master_secret(const WOLFSSL* ssl);

// A copy of the session that the mail server gave a ticket for; null: it gave none since the last time, or this is no
// finished connection of `context`.
WOLFSSL_SESSION* take_session(WOLFSSL* ssl, const WOLFSSL_CTX* context);
void free_session(WOLFSSL_SESSION* session);
// The name that the mail server was to have.
std::string_view wanted_name(const WOLFSSL* ssl);

// All of a finished connection, keys included, between two records; and the same into `ssl`, which must be new and of the
// same side. False: it cannot be done, or these are no such bytes.
bool export_connection(WOLFSSL* ssl, Packer& out);
bool import_connection(WOLFSSL* ssl, Unpacker& in);

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
