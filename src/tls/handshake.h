// SPDX-License-Identifier: GPL-3.0-or-later
// What a handshake finds out besides keys: the other side's certificate, whether its key is pinned, a channel binding.
// Only channel.cc uses it.
#pragma once

#include <string>
#include <vector>

#include "tls/channel.h"

struct WOLFSSL;

namespace postern::tls {

// Lives from the opening of a channel that wants more than keys until its findings are taken. The library knows its
// address until forget().
struct HandshakeNotes {
  WOLFSSL* ssl = nullptr;
  bool asks_for_certificate = false;  // of a mail program
  bool wants_exporter = false;
  const std::vector<std::string>* pins = nullptr;  // of a mail server; null: authorities decide
  bool key_is_pinned = false;
  int certificate_error = 0;  // the library's number for the first fault in the chain; later ones follow from it
  bool complete = false;      // the handshake is over and nothing was wrong
  Findings findings;
};

// Before the handshake, as the notes say.
void prepare(HandshakeNotes& notes);
// After it. False: it must not count, whatever the library says.
[[nodiscard]] bool conclude(HandshakeNotes& notes);
// The library lets go of the notes.
void forget(const HandshakeNotes& notes);

}  // namespace postern::tls
