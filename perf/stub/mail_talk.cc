// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/stub/mail_talk.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace postern::mailstub {
namespace {

constexpr std::string_view logged_in = " OK [CAPABILITY IMAP4rev1 LITERAL+ ID IDLE UIDPLUS] Logged in\r\n";

bool is_word(std::string_view text, std::string_view word) {
  return text.size() == word.size() && ::strncasecmp(text.data(), word.data(), word.size()) == 0;
}

std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

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

}  // namespace

void Answer::clear() {
  text.clear();
  body_size = 0;
  after.clear();
  close = false;
}

size_t MailTalk::feed(std::string_view input, uint64_t mail_size, Answer& answer) {
  size_t taken = 0;
  while (taken < input.size() && answer.body_size == 0 && !answer.close) {
    const std::string_view rest = input.substr(taken);
    if (awaits_ == Awaits::Literal) {
      const size_t size = std::min<uint64_t>(literal_left_, rest.size());
      literal_left_ -= size;
      taken += size;
      if (literal_left_ == 0) awaits_ = Awaits::LiteralsLine;
      continue;
    }
    const size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) break;
    taken += newline + 1;
    std::string_view line = rest.substr(0, newline);
    if (line.ends_with('\r')) line.remove_suffix(1);
    on_line(line, mail_size, answer);
  }
  return taken;
}

void MailTalk::on_line(std::string_view line, uint64_t mail_size, Answer& answer) {
  switch (awaits_) {
    case Awaits::Literal: return;
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
  on_command(tag, verb, rest, mail_size, answer);
}

bool MailTalk::begin_literal(std::string_view line, Answer& answer) {
  if (!line.ends_with('}')) return false;
  const size_t open = line.rfind('{');
  if (open == std::string_view::npos) return false;
  uint64_t size = 0;
  const auto parsed = std::from_chars(line.data() + open + 1, line.data() + line.size(), size);
  if (parsed.ec != std::errc() || size > 65536) return false;
  literal_left_ = size;
  awaits_ = size > 0 ? Awaits::Literal : Awaits::LiteralsLine;
  if (*parsed.ptr == '}') answer.text += "+ go on\r\n";
  return true;
}

void MailTalk::on_command(std::string_view tag, std::string_view verb, std::string_view rest, uint64_t mail_size,
                          Answer& answer) {
  if (is_word(verb, "NOOP")) return finish(tag, " OK done\r\n", answer);
  if (is_word(verb, "FETCH")) return fetch(tag, rest, mail_size, answer);
  if (is_word(verb, "UID")) {
    if (is_word(take_word(rest), "FETCH")) return fetch(tag, rest, mail_size, answer);
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

void MailTalk::fetch(std::string_view tag, std::string_view rest, uint64_t mail_size, Answer& answer) {
  if (rest.find("[]") == std::string_view::npos) {
    answer.text += "* 1 FETCH (FLAGS (\\Seen) UID 1)\r\n";
    return finish(tag, " OK done\r\n", answer);
  }
  const std::optional<uint64_t> partial = partial_size(rest);
  const uint64_t size = std::min(partial.value_or(mail_size), mail_size);
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

}  // namespace postern::mailstub
