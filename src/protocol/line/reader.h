// SPDX-License-Identifier: GPL-3.0-or-later
// Reader: framing. It finds the end of a line, or of a command with literals in it, and checks the limits, before
// anyone looks at what the bytes say.
//
// Lines end in CRLF or bare LF. A literal counts on any line that ends in its announcement, whatever the line is: its
// octets must never be taken for the next command (RFC 7888, section 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/line/inbox.h"
#include "protocol/line/literal.h"

namespace postern::line {

// All in bytes, for one command.
struct CommandLimits {
  size_t line_size = 0;      // all lines together, without literals and line ends
  size_t literal_size = 0;   // one literal
  size_t literals_size = 0;  // all literals together
  size_t swallow_size = 0;   // literals that are read only to be thrown away
  bool senders_wait = true;  // false: "{5}" is on its way like "{5+}" (ManageSieve has no word for "go on")
};

enum class Step : uint8_t {
  NeedBytes,
  Whole,          // frame() is a whole line or command; drop() it when done
  LiteralWaits,   // frame() ends in a literal() that the sender waits with: accept_literal(), or drop() to refuse it
  LiteralTooBig,  // frame() ends in a literal() that is on its way and beyond the limit: swallow() it
  Swallowed,      // a command that was given to swallow() has ended
  TooLong,        // beyond the line limit, or too much to swallow: what follows cannot be told apart any more
};

class Reader {
 public:
  void feed(std::string_view bytes) { inbox_.append(bytes); }

  // The two must not be mixed within one frame.
  Step next_line(size_t size_max);
  Step next_command(const CommandLimits& limits);

  // Without the line end behind it, with those before literals in it. Valid until the next call that is not const.
  std::string_view frame() const { return inbox_.view().substr(0, frame_size_); }
  LiteralMark literal() const { return literal_; }
  // Whether literal() is within the limits.
  bool literal_fits(const CommandLimits& limits) const;

  void accept_literal();
  // Wipes the frame; the next begins behind it.
  void drop();
  // Wipes the frame; the rest of its command will be thrown away as it comes.
  void swallow();

  size_t unread_size() const { return inbox_.size(); }
  // Of these, how many stand behind the frame.
  size_t behind_size() const { return inbox_.size() - frame_end_; }
  // Wipes up to `size` unread bytes between frames and says how many there were.
  size_t skip(size_t size);
  std::string take_unread();
  void clear();

 private:
  Step end_of_line(size_t size_max);
  bool skip_literal();
  void forget_frame();

  Inbox inbox_;
  size_t position_ = 0;       // where the current line, or what is left of the literal, begins
  size_t searched_ = 0;       // there is no LF in [position_, searched_)
  size_t frame_size_ = 0;     // up to the last line found, without its end
  size_t frame_end_ = 0;      // with it
  size_t text_size_ = 0;      // of this command's lines so far
  size_t literals_size_ = 0;  // of this command's literals so far
  size_t literal_left_ = 0;
  LiteralMark literal_;
  bool swallowing_ = false;
};

}  // namespace postern::line
