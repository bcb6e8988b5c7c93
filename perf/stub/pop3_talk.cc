// SPDX-License-Identifier: GPL-3.0-or-later
// POP3 (RFC 1939), with CAPA (RFC 2449) and AUTH (RFC 5034). XCLIENT is Dovecot's way to be told whom a proxy speaks for.
#include <algorithm>
#include <charconv>

#include "perf/stub/talk.h"

namespace postern::mailstub {
namespace {

class Pop3Talk final : public Talk {
 public:
  explicit Pop3Talk(uint64_t mail_size) : Talk(mail_size) {}

  std::string_view greeting() const override { return "+OK [XCLIENT] mailstub ready\r\n"; }

 private:
  void on_line(std::string_view line, Answer& answer) override;
  void on_auth(std::string_view rest, Answer& answer);
  void send_mail(uint64_t size, Answer& answer) const;

  bool awaits_credentials_ = false;
};

constexpr std::string_view capabilities =
    "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nUSER\r\nSASL PLAIN\r\n.\r\n";
constexpr std::string_view logged_in = "+OK Logged in\r\n";

uint64_t number_in(std::string_view word) {
  uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

void Pop3Talk::on_line(std::string_view line, Answer& answer) {
  if (awaits_credentials_) {
    awaits_credentials_ = false;
    answer.text += logged_in;
    return;
  }
  std::string_view rest = line;
  const std::string_view verb = take_word(rest);
  if (is_word(verb, "NOOP") || is_word(verb, "USER") || is_word(verb, "XCLIENT")) {
    answer.text += "+OK\r\n";
  } else if (is_word(verb, "PASS")) {
    answer.text += logged_in;
  } else if (is_word(verb, "AUTH")) {
    on_auth(rest, answer);
  } else if (is_word(verb, "CAPA")) {
    answer.text += capabilities;
  } else if (is_word(verb, "STAT")) {
    answer.text.append("+OK 1 ").append(std::to_string(mail_size_)).append("\r\n");
  } else if (is_word(verb, "LIST")) {
    answer.text.append("+OK\r\n1 ").append(std::to_string(mail_size_)).append("\r\n.\r\n");
  } else if (is_word(verb, "RETR")) {
    send_mail(mail_size_, answer);
  } else if (is_word(verb, "TOP")) {
    take_word(rest);
    send_mail(std::min(number_in(take_word(rest)), mail_size_ / mail_line_size) * mail_line_size, answer);
  } else if (is_word(verb, "QUIT")) {
    answer.text += "+OK mailstub out\r\n";
    answer.close = true;
  } else {
    answer.text += "-ERR unknown command\r\n";
  }
}

void Pop3Talk::on_auth(std::string_view rest, Answer& answer) {
  if (!is_word(take_word(rest), "PLAIN")) {
    answer.text += "-ERR unknown mechanism\r\n";
    return;
  }
  awaits_credentials_ = rest.empty();
  answer.text += awaits_credentials_ ? "+ \r\n" : logged_in;
}

// No line of the mail begins with a dot, so none needs a second one.
void Pop3Talk::send_mail(uint64_t size, Answer& answer) const {
  answer.text.append("+OK ").append(std::to_string(size)).append(" octets\r\n");
  answer.body_size = size;
  const bool is_cut_in_a_line = size % mail_line_size != 0;
  (size > 0 ? answer.after : answer.text).append(is_cut_in_a_line ? "\r\n.\r\n" : ".\r\n");
}

}  // namespace

std::unique_ptr<Talk> make_pop3_talk(uint64_t mail_size) {
  return std::make_unique<Pop3Talk>(mail_size);
}

}  // namespace postern::mailstub
