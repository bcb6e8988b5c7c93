// SPDX-License-Identifier: GPL-3.0-or-later
// The messages of the mechanisms: how they are read from a mail program, and how they are written to a mail server.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "protocol/login.h"

namespace postern::sasl {

// saslname (RFC 5802, section 5.1): "=2C" is a comma and "=3D" an equals sign. Nothing for any other "=".
std::optional<std::string> read_saslname(std::string_view text);
std::string write_saslname(std::string_view name);

// Each reads one message, already out of its base64. Nothing: malformed. What may not be empty can be empty here.
std::optional<protocol::Credentials> read_plain(std::string_view message);
std::optional<protocol::Credentials> read_oauthbearer(std::string_view message);
std::optional<protocol::Credentials> read_xoauth2(std::string_view message);

// Why a token was not taken, for the mail program, which may fetch a new one (RFC 7628, section 3.2.2). In base64.
std::string token_refused();
// What a mail server says so, and what has to be answered before it refuses: in base64.
std::string_view token_refusal_answer(protocol::Mechanism mechanism);

// The one message of a mechanism for a mail server, in base64, from login.mechanism: PLAIN (also when it says nothing
// else), OAUTHBEARER, XOAUTH2, EXTERNAL (empty: "="). None of the login's texts may hold NUL.
Secret client_message(const protocol::BackLogin& login);

}  // namespace postern::sasl
