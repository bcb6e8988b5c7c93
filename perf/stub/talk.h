// SPDX-License-Identifier: GPL-3.0-or-later
// Talk: the simulated mail server's side of one conversation, bytes in and bytes out, in any of its dialects. It lets
// everybody in and has one mailbox with one mail. Enough of each dialect for a proxy's login and for load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "perf/wire/protocol.h"

namespace postern::mailstub {

// Every line of the mail has so many bytes, CRLF included.
inline constexpr size_t mail_line_size = 64;

// What is to be sent, in this order. The caller empties it between answers.
struct Answer {
  std::string text;
  uint64_t body_size = 0;  // then so many bytes of the mail
  std::string after;       // then this
  bool close = false;      // then end the connection

  bool is_empty() const { return text.empty() && body_size == 0 && after.empty(); }
  void clear();
};

class Talk {
 public:
  virtual ~Talk() = default;
  virtual std::string_view greeting() const = 0;

  // Understands as many whole lines of `input` as it can, appends to `answer` and returns how many bytes it took. It
  // stops after a mail (`body_size` > 0), so that the caller sends it before it asks again. What it did not take must
  // come again with more behind it; the caller bounds that.
  size_t feed(std::string_view input, Answer& answer);

 protected:
  explicit Talk(uint64_t mail_size) : mail_size_(mail_size) {}

  virtual void on_line(std::string_view line, Answer& answer) = 0;

  uint64_t mail_size_;
  uint64_t passed_over_ = 0;  // so many bytes, before the next line, are nobody's command
};

// `mail_size`: of the whole mail, in bytes.
std::unique_ptr<Talk> make_talk(wire::Protocol protocol, uint64_t mail_size);
// One each in the dialect's file.
std::unique_ptr<Talk> make_imap_talk(uint64_t mail_size);
std::unique_ptr<Talk> make_pop3_talk(uint64_t mail_size);
std::unique_ptr<Talk> make_submission_talk(uint64_t mail_size);

// Without regard to case.
bool is_word(std::string_view text, std::string_view word);
// The word at the beginning of `text`, which loses it and the blank behind it.
std::string_view take_word(std::string_view& text);

}  // namespace postern::mailstub
