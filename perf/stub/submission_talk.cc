// SPDX-License-Identifier: GPL-3.0-or-later
// Message submission (RFC 6409): ESMTP with AUTH PLAIN (RFC 4954). Every mail is taken and forgotten.
#include "perf/stub/talk.h"

namespace postern::mailstub {
namespace {

class SubmissionTalk final : public Talk {
 public:
  explicit SubmissionTalk(uint64_t mail_size) : Talk(mail_size) {}

  std::string_view greeting() const override { return "220 mailstub ESMTP\r\n"; }

 private:
  enum class Awaits : uint8_t { Command, Credentials, Mail };

  void on_line(std::string_view line, Answer& answer) override;
  void on_command(std::string_view verb, std::string_view rest, Answer& answer);
  void on_auth(std::string_view rest, Answer& answer);

  Awaits awaits_ = Awaits::Command;
};

constexpr std::string_view capabilities =
    "250-mailstub\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
    "250 AUTH PLAIN\r\n";
constexpr std::string_view logged_in = "235 2.7.0 Logged in\r\n";
constexpr std::string_view done = "250 2.0.0 OK\r\n";

void SubmissionTalk::on_line(std::string_view line, Answer& answer) {
  switch (awaits_) {
    case Awaits::Mail:
      if (line != ".") return;
      answer.text += done;
      break;
    case Awaits::Credentials: answer.text += logged_in; break;
    case Awaits::Command: {
      const std::string_view verb = take_word(line);
      return on_command(verb, line, answer);
    }
  }
  awaits_ = Awaits::Command;
}

void SubmissionTalk::on_command(std::string_view verb, std::string_view rest, Answer& answer) {
  if (is_word(verb, "NOOP") || is_word(verb, "MAIL") || is_word(verb, "RCPT") || is_word(verb, "RSET")) {
    answer.text += done;
  } else if (is_word(verb, "EHLO")) {
    answer.text += capabilities;
  } else if (is_word(verb, "HELO")) {
    answer.text += "250 mailstub\r\n";
  } else if (is_word(verb, "AUTH")) {
    on_auth(rest, answer);
  } else if (is_word(verb, "DATA")) {
    awaits_ = Awaits::Mail;
    answer.text += "354 go on\r\n";
  } else if (is_word(verb, "QUIT")) {
    answer.text += "221 2.0.0 mailstub out\r\n";
    answer.close = true;
  } else {
    answer.text += "500 5.5.1 unknown command\r\n";
  }
}

void SubmissionTalk::on_auth(std::string_view rest, Answer& answer) {
  if (!is_word(take_word(rest), "PLAIN")) {
    answer.text += "504 5.5.4 unknown mechanism\r\n";
  } else if (rest.empty()) {
    awaits_ = Awaits::Credentials;
    answer.text += "334 \r\n";
  } else {
    answer.text += logged_in;
  }
}

}  // namespace

std::unique_ptr<Talk> make_submission_talk(uint64_t mail_size) {
  return std::make_unique<SubmissionTalk>(mail_size);
}

}  // namespace postern::mailstub
