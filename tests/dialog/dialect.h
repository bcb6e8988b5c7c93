// SPDX-License-Identifier: GPL-3.0-or-later
// What the language's words mean in each dialect, and the listeners and pools that a dialog may name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "session/dialect.h"

namespace postern::dialog {

using session::Dialect;

struct DialectWords {
  Dialect dialect;
  std::string_view pool;  // the usual one's name
  // Of its members, and of those with TLS from the first byte.
  std::string_view back_port, back_tls_port;
  // What the gate says, as patterns; IMAP's answers come behind the tag. An empty greeting is a list.
  std::string_view greet, ok, no, bad, temp;
  // How an answer begins without which the mail program cannot go on.
  std::string_view challenge;
  // The command that begins TLS, without tag and line end, and the pattern of the answer.
  std::string_view starttls, starttls_ok;
  // What a mail server says: its greeting, what it can do (IMAP: behind CAPABILITY; else one a line), and yes, to a login
  // and to STARTTLS.
  std::string_view back_greet, back_capability, back_ok, back_starttls_ok;
};
const DialectWords& words_in(Dialect dialect);

// A listener of the usual configuration. Those of IMAP are always there, others in dialogs that name them.
struct UsualListener {
  std::string_view name;
  Dialect dialect;
  std::string_view tls;
  uint16_t port;
};
std::span<const UsualListener> usual_listeners();
const UsualListener* find_listener(std::string_view name);
// Which of the dialects a pool of that name speaks where the dialog does not say.
Dialect dialect_of_pool(std::string_view name);
// Of the protocols that a mail program offers by ALPN the first that the listener `alpn` serves.
Dialect dialect_of_alpn(std::string_view offered);

// "pop3"; Imap for a word that is none.
Dialect dialect_of_word(std::string_view word);

// The greeting as a mail server sends it, with what it says of itself; empty: the usual.
std::string back_greeting(Dialect dialect, const std::string& capability);
// The answer to EHLO.
std::string ehlo_reply(const std::string& capability);

// How many octets the list at the beginning of `inbox` has: EHLO's reply, CAPA's, ManageSieve's capabilities, IMAP's
// untagged lines, up to the line that ends it well. 0: it is not whole, or is none.
size_t list_size(std::string_view inbox, Dialect dialect);

}  // namespace postern::dialog
