// SPDX-License-Identifier: GPL-3.0-or-later
// The lines of Dovecot's auth-client protocol, version 1: what is said, and what is understood of the answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "helper/asked.h"
#include "helper/sources/source.h"

namespace postern::helper {

// Dovecot hangs up at a longer line (AUTH_CLIENT_MAX_LINE_LENGTH), and with it on everybody else's questions.
inline constexpr size_t dovecot_line_max = 8192;

// TAB, LF, CR, NUL and \001 itself as \001 and a letter; and back.
Secret dovecot_escaped(std::string_view bytes);
Secret dovecot_unescaped(std::string_view bytes);

// The line AUTH with its LF. `service`: empty: the question's protocol.
Secret dovecot_question(uint32_t id, std::string_view mechanism, const Asked& asked, std::string_view service);

struct DovecotAnswer {
  enum class Kind : uint8_t { Ok, Fail, Continue };
  Kind kind = Kind::Fail;
  uint32_t id = 0;
  std::vector<Secret> fields;  // "user=joe"; one of them may be a password
};

// Nothing: the line is no answer.
std::optional<DovecotAnswer> parse_dovecot_answer(std::string_view line);

// Of Ok and Fail.
Lookup lookup_of_dovecot(const DovecotAnswer& answer, const Asked& asked);

}  // namespace postern::helper
