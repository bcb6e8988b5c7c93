// SPDX-License-Identifier: GPL-3.0-or-later
// What a mail program may write behind a command's name. No function here sees a line end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::smtp {

// RFC 5321, section 4.5.3.1.2: a domain is at most 255 octets; an address literal is shorter.
inline constexpr size_t helo_size_max = 255;

// Without the blanks (space, tab) at both ends, or at the end alone.
std::string_view trim(std::string_view text);
std::string_view trim_end(std::string_view text);

// A control character other than tab. None belongs into a command (RFC 5321, section 4.1.2), and mail servers disagree
// on what NUL and CR do to it.
bool has_control(std::string_view text);

// Whether EHLO's argument may go on to a mail server as it is. Many mail programs say odd names, so it need not be a
// domain; but it must be one word, and it cannot break a line.
bool is_helo(std::string_view text);

// BDAT's argument (RFC 3030, section 2).
struct Chunk {
  // What fits every number type that a mail server may read it into; no mail program makes such chunks.
  static constexpr uint32_t size_max = 0x7fffffff;

  uint32_t size = 0;
  bool last = false;
};

// Strict, since whoever reads the size otherwise takes message for commands: no sign, no zeros in front (some would
// read octal), one blank. Nothing: how many octets follow is not known.
std::optional<Chunk> parse_chunk(std::string_view arguments);

}  // namespace postern::smtp
