// SPDX-License-Identifier: GPL-3.0-or-later
// The four dialects, as a session tells them apart: their ports, their names in ALPN, their two halves.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "auth/question.h"
#include "protocol/back.h"
#include "protocol/front.h"
#include "session/dialect.h"

namespace postern::session {

// The one application protocol that a dialect's listener serves. IANA has "imap", "pop3" and "managesieve"; "smtp" is
// what mail programs say that use ALPN for submission. A listener of that dialect takes no other.
std::string_view alpn_of(Dialect dialect);
std::optional<Dialect> dialect_of_alpn(std::string_view alpn);

// The ports of a mail server whose address comes without one.
auth::BackPorts back_ports(Dialect dialect);

// Never for Alpn (CHECK).
std::unique_ptr<protocol::Front> make_front(Dialect dialect, protocol::FrontOptions options);
std::unique_ptr<protocol::Back> make_back(Dialect dialect, protocol::BackLogin login, protocol::BackIdentity identity,
                                          protocol::BackTlsPlan tls);

}  // namespace postern::session
