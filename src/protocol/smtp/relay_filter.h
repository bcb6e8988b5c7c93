// SPDX-License-Identifier: GPL-3.0-or-later
// RelayFilter: stands in a submission session after login and passes everything on, except what would let a mail program
// speak as the gate.
//
// A mail server trusts the gate's address: there XCLIENT and XFORWARD work, which name any address and any user (Postfix
// takes them at any time outside of a transaction). And STARTTLS and AUTH belong to the connection that we have made, not
// to the mail program's.
//
// How it refuses. What may pass is a list of verbs, each with how the lines behind it are to be read; not a list of what
// may not, since mail servers find a verb also behind blanks, quotes and backslashes, and since a verb that nobody here
// knows could change what the next line is. Any other line is replaced by one word that no mail server knows: it refuses
// in its own words, and the answer stands where the mail program expects it. AUTH goes the same way, so its further lines
// are refused one by one, instead of being a password in the mail server's log.
//
// What is a line. A command ends at LF; it is passed on with CRLF, so that every mail server sees the same lines as we.
// NUL, CR and other controls in a command are refused, and so is one beyond the limit: mail servers cut such lines up.
//
// What is a message. Behind 354 nothing is looked at up to CRLF.CRLF, the only end that RFC 5321 knows (section 4.1.1.4).
// Some mail servers also take a dot between bare CR or LF for the end: behind it they would read commands that we take for
// message. No honest mail program sends such a dot, so it gets a second one (section 4.5.2): to those mail servers it is
// then a line with a dot, to all others a dot more in a line that was broken before. A message without it passes as it is.
//
// Whether a 354 is DATA's, and which reply is EHLO's (it loses STARTTLS, AUTH and X...), is known by counting. DATA, EHLO
// and HELO end a group of commands (RFC 2920, section 3.1), so what comes behind them is held back until the reply is
// here. BDAT's octets follow at once (RFC 3030, section 2): they pass unseen where the mail server said CHUNKING, and are
// thrown away where it did not, since it would take them for commands. A BDAT without a size that can be read ends the
// session: the mail server is asked to say goodbye, and nothing behind it reaches anybody.
//
// Pure like the dialects, and small: at rest it holds no memory but itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/packing.h"

namespace postern::smtp {

class RelayFilter {
 public:
  // With its line end; Postfix's limit. RFC 5321, section 4.5.3.1.4, says 512, extensions add some hundreds.
  static constexpr size_t command_size_max = 2048;
  // A line of EHLO's reply; the rest of a longer one is lost. RFC 5321, section 4.5.3.1.5, says 512.
  static constexpr size_t reply_line_size_max = 1024;

  // `capabilities` is what EHLO brought at the login (Accepted::capability).
  explicit RelayFilter(std::string_view capabilities = {});

  // Bytes of the mail program. Appends to `to_back` what the mail server may get: never more than three times what was
  // given and held.
  void from_front(std::string_view bytes, std::string& to_back);
  // Bytes of the mail server. Appends to `to_front` what the mail program gets, and to `to_back` what was held back and
  // may now go.
  void from_back(std::string_view bytes, std::string& to_front, std::string& to_back);
  // False: it holds something back already, do not read from the mail program now. It never holds more than an
  // unfinished command and what one from_front() brought.
  bool wants_front_bytes() const { return front_ != Front::Waiting || front_bytes_.empty(); }

  // No command and no reply is under way, so a 421 of the gate would be understood (RFC 5321, section 3.8).
  bool between_commands() const;
  // All of it as bytes, and the same filter from them. False: these are none.
  void freeze(Packer& out) const;
  [[nodiscard]] bool thaw(Unpacker& in);

  // Memory held besides the object itself, in bytes.
  size_t heap_size() const;

 private:
  enum class Front : uint8_t {
    Command,       // a line is expected
    Refusing,      // the rest of a line is thrown away
    Waiting,       // behind DATA, EHLO or HELO: all is held back
    Data,          // a message
    Chunk,         // the octets behind BDAT
    DroppedChunk,  // the same, but nobody gets them
    Lost,          // nobody knows what the next octet is: all is thrown away
  };
  enum class Awaited : uint8_t { Data, Ehlo, Helo };
  // In a message: what the last bytes were. A dot and what follows it are held back by these, not in memory.
  enum class At : uint8_t {
    Text,
    Cr,
    Line,       // behind CRLF
    Break,      // behind another line end
    LineDot,    // a dot behind CRLF
    LineDotCr,  // and CR
    BreakDot,   // a dot behind another line end
  };
  struct Verb;
  static const Verb verbs[];

  void command_bytes(std::string_view& bytes, std::string& to_back);
  void refused_bytes(std::string_view& bytes, std::string& to_back);
  void data_bytes(std::string_view& bytes, std::string& to_back);
  bool data_byte(char c, std::string& to_back);
  void chunk_bytes(std::string_view& bytes, std::string& to_back);

  static const Verb* find_verb(std::string_view name);
  static bool may_pass(std::string_view line);
  void pass_eagerly(std::string_view line, std::string& to_back);
  void pass(std::string_view line, std::string& to_back);
  void pass_chunk(std::string_view line, std::string& to_back);
  void refuse(std::string& to_back);
  void give_up(std::string& to_back);

  void filter_reply_line(std::string& to_front);
  void say_held_line(char separator, std::string& to_front);
  void on_reply(unsigned code, std::string& to_back);

  std::string front_bytes_;  // Command: the unfinished line; Waiting: what came behind
  std::string reply_;  // EHLO's: a line that is held until it is known whether it is the last, then the unfinished
  uint64_t outstanding_ = 0;  // replies that are due; nobody lives to see it overflow
  uint32_t chunk_left_ = 0;
  uint16_t held_size_ = 0;  // of the line in reply_ that is held
  uint8_t passed_ = 0;      // bytes of the unfinished line that the mail server has already
  char head_[4] = {};       // of the mail server's line: its code, and whether more follow
  uint8_t head_size_ = 0;
  Front front_ = Front::Command;
  Awaited awaited_ = Awaited::Data;
  At at_ = At::Line;
  bool in_reply_line_ = false;
  bool filtering_ = false;      // the line belongs to EHLO's reply
  bool chunking_ = false;       // the mail server takes BDAT
  bool chunking_said_ = false;  // in the EHLO reply at hand
};

// It lives as long as the session, which may sleep.
static_assert(sizeof(RelayFilter) <= 96);

}  // namespace postern::smtp
