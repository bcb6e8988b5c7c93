// SPDX-License-Identifier: GPL-3.0-or-later
// What the log says of a TLS handshake with a mail server that failed, in the words of the pool's settings.
#pragma once

#include <string_view>

#include "tls/channel.h"

namespace postern::session {

std::string_view back_tls_sentence(tls::Failure failure);

}  // namespace postern::session
