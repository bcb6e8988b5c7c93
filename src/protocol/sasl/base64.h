// SPDX-License-Identifier: GPL-3.0-or-later
// Base64 as SASL wants it (RFC 4648, section 4): padded, one line, nothing else.
#pragma once

#include <string>
#include <string_view>

namespace postern::sasl {

// False for a character outside the alphabet, padding anywhere but at the end, or a missing one (RFC 4959, section 3);
// `bytes` is then wiped and empty. `bytes` never moves its memory while it fills, so wiping it wipes everything.
[[nodiscard]] bool base64_decode(std::string_view text, std::string& bytes);

std::string base64_encode(std::string_view bytes);

}  // namespace postern::sasl
