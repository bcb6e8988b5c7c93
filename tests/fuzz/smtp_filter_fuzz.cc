// SPDX-License-Identifier: GPL-3.0-or-later
// Strangers on both sides of the filter behind a login. The first byte chooses the mail server's habits, the second how
// the rest is cut.
//
// First the rest is a mail program's, and a mail server of ours answers it: in each of its habits, however it finds verbs
// and ends of messages, it must never hear XCLIENT, XFORWARD, STARTTLS or AUTH, and the two must never wait for each
// other. Then 0xff parts the rest into turns of the two sides: the same turns give the same bytes in any pieces, and
// memory and growth stay bounded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "expect.h"
#include "protocol/line/word.h"
#include "protocol/smtp/relay_filter.h"

namespace {

using postern::smtp::RelayFilter;

struct Habits {
  explicit Habits(unsigned choice)
      : lax_ends((choice & 1) != 0),
        has_chunking((choice & 2) != 0),
        refuses_data((choice & 4) != 0),
        reads_four_letters((choice & 8) != 0),
        skips_garbage((choice & 16) != 0),
        helo_ends_chunking((choice & 32) != 0),
        answers_late((choice & 64) != 0) {}

  bool lax_ends;            // CR and LF each end a line, and NUL is not seen
  bool has_chunking;        // else the octets behind BDAT are commands
  bool refuses_data;        // no 354
  bool reads_four_letters;  // of a verb
  bool skips_garbage;       // in front of a verb
  bool helo_ends_chunking;
  bool answers_late;  // when all is there, not byte by byte
};

class MailServer {
 public:
  explicit MailServer(Habits habits) : habits_(habits), chunking_(habits.has_chunking) {}

  // What it answers.
  std::string hear(std::string_view bytes) {
    std::string replies;
    for (const char c : bytes)
      hear(c, replies);
    return replies;
  }

 private:
  void hear(char c, std::string& replies) {
    if (chunk_left_ != 0) {
      if (--chunk_left_ == 0) replies += "250 chunk\r\n";
      return;
    }
    if (habits_.lax_ends && c == '\0') return;
    const bool is_second_half = std::exchange(behind_cr_, c == '\r') && c == '\n';
    const bool ends_line = c == '\n' || (c == '\r' && in_message_ && habits_.lax_ends);
    if (!ends_line) {
      line_.push_back(c);
      return;
    }
    // The LF of a CRLF whose CR was the end already.
    if (is_second_half && habits_.lax_ends && line_.empty()) return;
    const std::string line = std::exchange(line_, {});
    in_message_ ? message_line(line, replies) : command_line(line, replies);
  }

  // With lax ends, a CR within makes two commands of it.
  void command_line(std::string_view line, std::string& replies) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    do {
      const size_t end = habits_.lax_ends ? std::min(line.find('\r'), line.size()) : line.size();
      command(line.substr(0, end), replies);
      line.remove_prefix(std::min(end + 1, line.size()));
    } while (!line.empty());
  }

  // The strict one knows but one end, as its line and the one before tell.
  void message_line(const std::string& line, std::string& replies) {
    const bool is_end = habits_.lax_ends ? line == "." : line == ".\r" && last_was_crlf_;
    last_was_crlf_ = line.ends_with('\r');
    if (!is_end) return;
    in_message_ = false;
    replies += "250 message\r\n";
  }

  void command(std::string_view line, std::string& replies) {
    if (habits_.skips_garbage)
      line.remove_prefix(std::min(line.find_first_not_of(" \t\v\f\r\\\"'<[(:.\x80"), line.size()));
    const size_t end = std::min(line.find_first_of(" \t:\"<\\\r\0"), line.size());
    std::string_view verb = line.substr(0, end);
    if (habits_.reads_four_letters) verb = line.substr(0, 4);
    for (const std::string_view forbidden : {"XCLIENT", "XFORWARD", "STARTTLS", "AUTH"})
      EXPECT_OR_DIE(!same(verb, forbidden));
    if (same(verb, "EHLO")) {
      chunking_ = habits_.has_chunking;
      replies += "250-mx\r\n250-AUTH PLAIN\r\n";
      replies += chunking_ ? "250-CHUNKING\r\n" : "";
      replies += "250-DSN\r\n250 STARTTLS\r\n";
    } else if (same(verb, "HELO")) {
      if (habits_.helo_ends_chunking) chunking_ = false;
      replies += "250-mx\r\n250 hello\r\n";
    } else if (same(verb, "DATA") && !habits_.refuses_data) {
      in_message_ = last_was_crlf_ = true;
      replies += "354 go on\r\n";
    } else if (same(verb, "BDAT") && chunking_) {
      chunk_left_ = size_in(line.substr(std::min<size_t>(end + 1, line.size())));
      if (chunk_left_ == 0) replies += "250 chunk\r\n";
    } else {
      replies += "500-what\r\n500 what\r\n";
    }
  }

  bool same(std::string_view verb, std::string_view name) const {
    return postern::line::same_word(verb, habits_.reads_four_letters ? name.substr(0, 4) : name);
  }

  // As a careless one reads it: 32 bits, and what does not fit is lost.
  static uint32_t size_in(std::string_view digits) {
    uint32_t size = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') break;
      size = size * 10 + static_cast<uint32_t>(c - '0');
    }
    return size;
  }

  Habits habits_;
  std::string line_;
  uint32_t chunk_left_ = 0;
  bool chunking_;
  bool in_message_ = false;
  bool last_was_crlf_ = false;
  bool behind_cr_ = false;
};

void expect_no_offer(const std::string& to_front) {
  for (const char* offer : {"AUTH", "STARTTLS"})
    EXPECT_OR_DIE(to_front.find(offer) == std::string::npos);
}

void talk(unsigned choice, std::string_view bytes, size_t piece) {
  const Habits habits(choice);
  RelayFilter filter(habits.has_chunking ? "DSN\nCHUNKING" : "DSN");
  MailServer server(habits);
  std::string to_front;
  const auto exchange = [&](std::string to_back) {
    while (!to_back.empty()) {
      const std::string replies = server.hear(std::exchange(to_back, {}));
      const size_t step = habits.answers_late ? std::max<size_t>(1, replies.size()) : 1;
      for (size_t i = 0; i < replies.size(); i += step)
        filter.from_back(std::string_view(replies).substr(i, step), to_front, to_back);
    }
  };
  while (!bytes.empty()) {
    const std::string_view given = bytes.substr(0, piece);
    bytes.remove_prefix(given.size());
    std::string to_back;
    filter.from_front(given, to_back);
    exchange(std::move(to_back));
    // The mail server has answered all that it heard, so nothing is left to wait for.
    EXPECT_OR_DIE(filter.wants_front_bytes());
  }
  expect_no_offer(to_front);
}

// What came out in each turn.
std::string take_turns(unsigned choice, std::string_view bytes, size_t piece) {
  RelayFilter filter((choice & 2) != 0 ? "CHUNKING" : "");
  std::string transcript;
  bool is_program = true;
  size_t from_front = 0;
  size_t all_to_back = 0;
  while (!bytes.empty()) {
    std::string_view turn = bytes.substr(0, bytes.find('\xff'));
    bytes.remove_prefix(std::min(turn.size() + 1, bytes.size()));
    if (is_program) from_front += turn.size();
    std::string to_front;
    std::string to_back;
    for (; !turn.empty(); turn.remove_prefix(std::min(piece, turn.size()))) {
      if (is_program) {
        filter.from_front(turn.substr(0, piece), to_back);
      } else {
        filter.from_back(turn.substr(0, piece), to_front, to_back);
      }
    }
    is_program = !is_program;
    all_to_back += to_back.size();
    EXPECT_OR_DIE(all_to_back <= 3 * from_front);
    EXPECT_OR_DIE(filter.heap_size() <= 4 * (RelayFilter::command_size_max + from_front));
    transcript += to_front + '\xff' + to_back + '\xff';
  }
  return transcript;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  for (const size_t piece : {bytes.size() + 1, size_t{1}, size_t{1} + data[1] % 64})
    talk(data[0], bytes, piece);
  const std::string whole = take_turns(data[0], bytes, bytes.size() + 1);
  EXPECT_OR_DIE(take_turns(data[0], bytes, 1) == whole);
  EXPECT_OR_DIE(take_turns(data[0], bytes, 1 + data[1] % 64) == whole);
  return 0;
}
