// SPDX-License-Identifier: GPL-3.0-or-later
// MailTalk: the simulated mail server's side of one IMAP conversation, bytes in and bytes out. It lets everybody in and
// has one mailbox with one mail, of whatever size is asked of it. Enough IMAP for a proxy's login and for load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::mailstub {

// What is to be sent, in this order. The caller empties it between answers.
struct Answer {
  std::string text;
  uint64_t body_size = 0;  // then so many bytes of the mail
  std::string after;       // then this
  bool close = false;      // then end the connection

  bool is_empty() const { return text.empty() && body_size == 0 && after.empty(); }
  void clear();
};

class MailTalk {
 public:
  static constexpr std::string_view greeting =
      "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID IDLE AUTH=PLAIN] mailstub ready\r\n";

  // Understands as many whole lines of `input` as it can, appends to `answer` and returns how many bytes it took. It
  // stops after a mail (`body_size` > 0), so that the caller sends it before it asks again. What it did not take must
  // come again with more behind it; the caller bounds that.
  size_t feed(std::string_view input, uint64_t mail_size, Answer& answer);

 private:
  enum class Awaits : uint8_t { Command, Literal, LiteralsLine, Credentials, Done };

  void on_line(std::string_view line, uint64_t mail_size, Answer& answer);
  void on_command(std::string_view tag, std::string_view verb, std::string_view rest, uint64_t mail_size,
                  Answer& answer);
  void fetch(std::string_view tag, std::string_view rest, uint64_t mail_size, Answer& answer);
  bool begin_literal(std::string_view line, Answer& answer);

  Awaits awaits_ = Awaits::Command;
  uint64_t literal_left_ = 0;
  std::string tag_;  // of the command under way, while a literal, credentials or DONE are awaited
};

}  // namespace postern::mailstub
