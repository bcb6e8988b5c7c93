// SPDX-License-Identifier: GPL-3.0-or-later
// IMAP (RFC 9051, and 3501 before it).
#include <algorithm>
#include <charconv>
#include <optional>

#include "perf/stub/talk.h"

namespace postern::mailstub {
namespace {

class ImapTalk final : public Talk {
 public:
  explicit ImapTalk(uint64_t mail_size) : Talk(mail_size) {}

  std::string_view greeting() const override {
    return "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID IDLE AUTH=PLAIN] mailstub ready\r\n";
  }

 private:
  enum class Awaits : uint8_t { Command, LiteralsLine, Credentials, Done };

  void on_line(std::string_view line, Answer& answer) override;
  void on_command(std::string_view tag, std::string_view verb, std::string_view rest, Answer& answer);
  void fetch(std::string_view tag, std::string_view rest, Answer& answer) const;
  bool begin_literal(std::string_view line, Answer& answer);

  Awaits awaits_ = Awaits::Command;
  std::string tag_;  // of the command under way, while a literal, credentials or DONE are awaited
};

constexpr std::string_view logged_in = " OK [CAPABILITY IMAP4rev1 LITERAL+ ID IDLE UIDPLUS] Logged in\r\n";

void finish(std::string_view tag, std::string_view outcome, Answer& answer) {
  answer.text.append(tag).append(outcome);
}

// "BODY[]<0.4096>" asks for 4096 bytes of the mail.
std::optional<uint64_t> partial_size(std::string_view rest) {
  const size_t open = rest.find("]<");
  if (open == std::string_view::npos) return std::nullopt;
  const size_t dot = rest.find('.', open);
  if (dot == std::string_view::npos) return std::nullopt;
  uint64_t size = 0;
  const auto parsed = std::from_chars(rest.data() + dot + 1, rest.data() + rest.size(), size);
  if (parsed.ec != std::errc() || parsed.ptr == rest.data() + rest.size() || *parsed.ptr != '>') return std::nullopt;
  return size;
}

void ImapTalk::on_line(std::string_view line, Answer& answer) {
  switch (awaits_) {
    case Awaits::LiteralsLine:  // only a login has literals here, and every login is right
      if (begin_literal(line, answer)) return;
      awaits_ = Awaits::Command;
      return finish(tag_, logged_in, answer);
    case Awaits::Credentials: awaits_ = Awaits::Command; return finish(tag_, logged_in, answer);
    case Awaits::Done: awaits_ = Awaits::Command; return finish(tag_, " OK idled\r\n", answer);
    case Awaits::Command: break;
  }
  std::string_view rest = line;
  const std::string_view tag = take_word(rest);
  const std::string_view verb = take_word(rest);
  if (begin_literal(line, answer)) {
    tag_ = tag;
    return;
  }
  on_command(tag, verb, rest, answer);
}

bool ImapTalk::begin_literal(std::string_view line, Answer& answer) {
  if (!line.ends_with('}')) return false;
  const size_t open = line.rfind('{');
  if (open == std::string_view::npos) return false;
  uint64_t size = 0;
  const auto parsed = std::from_chars(line.data() + open + 1, line.data() + line.size(), size);
  if (parsed.ec != std::errc() || size > 65536) return false;
  passed_over_ = size;
  awaits_ = Awaits::LiteralsLine;
  if (*parsed.ptr == '}') answer.text += "+ go on\r\n";
  return true;
}

void ImapTalk::on_command(std::string_view tag, std::string_view verb, std::string_view rest, Answer& answer) {
  if (is_word(verb, "NOOP")) return finish(tag, " OK done\r\n", answer);
  if (is_word(verb, "FETCH")) return fetch(tag, rest, answer);
  if (is_word(verb, "UID")) {
    if (is_word(take_word(rest), "FETCH")) return fetch(tag, rest, answer);
    return finish(tag, " BAD unknown command\r\n", answer);
  }
  if (is_word(verb, "LOGIN")) return finish(tag, logged_in, answer);
  if (is_word(verb, "AUTHENTICATE")) {
    take_word(rest);
    if (!rest.empty()) return finish(tag, logged_in, answer);
    tag_ = tag;
    awaits_ = Awaits::Credentials;
    answer.text += "+ \r\n";
    return;
  }
  if (is_word(verb, "CAPABILITY")) {
    answer.text += "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID IDLE AUTH=PLAIN\r\n";
    return finish(tag, " OK done\r\n", answer);
  }
  if (is_word(verb, "ID")) {
    answer.text += "* ID (\"name\" \"mailstub\")\r\n";
    return finish(tag, " OK done\r\n", answer);
  }
  if (is_word(verb, "LIST")) {
    answer.text += "* LIST () \"/\" INBOX\r\n";
    return finish(tag, " OK done\r\n", answer);
  }
  if (is_word(verb, "SELECT") || is_word(verb, "EXAMINE")) {
    answer.text += "* FLAGS (\\Seen)\r\n* 1 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] fixed\r\n";
    return finish(tag, " OK [READ-WRITE] selected\r\n", answer);
  }
  if (is_word(verb, "IDLE")) {
    tag_ = tag;
    awaits_ = Awaits::Done;
    answer.text += "+ idling\r\n";
    return;
  }
  if (is_word(verb, "LOGOUT")) {
    answer.text += "* BYE mailstub out\r\n";
    answer.close = true;
    return finish(tag, " OK done\r\n", answer);
  }
  finish(tag, " BAD unknown command\r\n", answer);
}

void ImapTalk::fetch(std::string_view tag, std::string_view rest, Answer& answer) const {
  if (rest.find("[]") == std::string_view::npos) {
    answer.text += "* 1 FETCH (FLAGS (\\Seen) UID 1)\r\n";
    return finish(tag, " OK done\r\n", answer);
  }
  const std::optional<uint64_t> partial = partial_size(rest);
  const uint64_t size = std::min(partial.value_or(mail_size_), mail_size_);
  answer.text.append("* 1 FETCH (UID 1 BODY[]")
      .append(partial ? "<0> {" : " {")
      .append(std::to_string(size))
      .append("}\r\n");
  answer.body_size = size;
  answer.after.append(")\r\n").append(tag).append(" OK done\r\n");
  if (size == 0) {
    answer.text += answer.after;
    answer.after.clear();
  }
}

}  // namespace

std::unique_ptr<Talk> make_imap_talk(uint64_t mail_size) {
  return std::make_unique<ImapTalk>(mail_size);
}

}  // namespace postern::mailstub
