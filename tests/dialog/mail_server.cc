// SPDX-License-Identifier: GPL-3.0-or-later
// The mail server's part in a login: whatever legal form the gate chose, played through to the credentials.
#include <algorithm>
#include <charconv>
#include <map>

#include "player.h"

namespace postern::dialog {
namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string take_word(std::string& rest) {
  const std::string word = rest.substr(0, rest.find(' '));
  rest.erase(0, std::min(rest.size(), word.size() + 1));
  return word;
}

std::string between(const std::string& text, const std::string& before, const std::string& behind) {
  const size_t begin = text.find(before);
  if (begin == text.npos) return {};
  const size_t end = text.find(behind, begin + before.size());
  return text.substr(begin + before.size(), end == text.npos ? end : end - begin - before.size());
}

size_t number16(std::string_view bytes, size_t at) {
  return size_t{static_cast<unsigned char>(bytes.at(at))} << 8 | static_cast<unsigned char>(bytes.at(at + 1));
}

}  // namespace

void Player::say(End& end, const std::string& text) {
  end.send(text);
  world_.settle();
}

// The next line without its CRLF.
std::string Player::take_line(End& end, bool login) {
  world_.settle();
  const size_t newline = end.inbox().find("\r\n");
  if (newline == std::string::npos) fail("the mail server waits for a line and has \"" + shown(end.inbox()) + "\"");
  std::string line = end.take(newline + 2, login);
  return line.substr(0, newline);
}

// The next line of a login, within the step's time.
std::string Player::take_login_line(const Step& step, End& end) {
  if (!comes_true(step.within, [&] { return end.inbox().find("\r\n") != std::string::npos; })) {
    fail("there is no login at " + step.who + ", only \"" + shown(end.inbox()) + "\"");
  }
  return take_line(end, true);
}

// Takes one argument of LOGIN from the front of `rest`, which may be a literal and then goes on in the next line.
std::string Player::take_argument(End& end, std::string& rest) {
  std::string value;
  if (rest.starts_with('"')) {
    size_t i = 1;
    for (; i < rest.size() && rest[i] != '"'; ++i) {
      if (rest[i] == '\\') ++i;
      if (i < rest.size()) value += rest[i];
    }
    if (i >= rest.size()) fail("the gate's login has a quoted string without end");
    rest.erase(0, i + 1);
  } else if (rest.starts_with('{')) {
    size_t size = 0;
    const auto [digits_end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), size);
    const std::string_view tail(digits_end, static_cast<size_t>(rest.data() + rest.size() - digits_end));
    if (error != std::errc() || (tail != "}" && tail != "+}"))
      fail("the gate's login has a wrong literal: " + shown(rest));
    if (tail == "}") say(end, "+ Send it\r\n");
    if (end.inbox().size() < size) fail("the gate's literal is not whole");
    value = end.take(size, true);
    rest = take_line(end, true);
  } else {
    return take_word(rest);
  }
  if (!rest.empty() && rest[0] != ' ') fail("the gate's login has no space behind an argument");
  rest.erase(0, std::min<size_t>(1, rest.size()));
  return value;
}

// @login "USER" "PASSWORD" [for "MAILBOX"] [by METHOD]
void Player::expect_login(const Step& step, End& end) {
  std::map<std::string, std::string> wanted;
  for (size_t i = 2; i + 1 < step.what.words.size(); i += 2)
    wanted[step.what.words[i].value] = step.what.words[i + 1].value;
  const std::string port = std::to_string(end.address().port);
  const DialectWords& words = words_in(step.dialect);
  if (port != words.back_port && port != words.back_tls_port) fail("the gate logs in at another protocol's port");
  SeenLogin seen;
  switch (step.dialect) {
    case Dialect::Imap:
    case Dialect::Alpn: seen = read_imap_login(step, end); break;
    case Dialect::Pop3: seen = read_pop3_login(step, end); break;
    case Dialect::Submission: seen = read_submission_login(step, end); break;
    case Dialect::Sieve: seen = read_sieve_login(step, end); break;
  }
  if (seen.user != step.what.words.at(0).value) fail("the login's user is \"" + shown(seen.user) + "\"");
  if (seen.password != step.what.words.at(1).value) fail("the login's password is \"" + shown(seen.password) + "\"");
  if (seen.mailbox != wanted["for"]) fail("the login is for \"" + shown(seen.mailbox) + "\"");
  if (!wanted["by"].empty() && seen.method != wanted["by"]) fail("the login is by " + seen.method);
}

Player::SeenLogin Player::read_imap_login(const Step& step, End& end) {
  const std::string& capability = stage_.dialog().capability;
  for (;;) {
    std::string rest = take_login_line(step, end);
    const std::string tag = take_word(rest), command = upper(take_word(rest));
    tags_[step.who] = tag;
    if (command == "CAPABILITY") {
      const std::string list = capability.empty() ? std::string(words_in(Dialect::Imap).back_capability) : capability;
      say(end, "* CAPABILITY " + list + "\r\n" + tag + " OK done\r\n");
    } else if (command == "ID") {
      say(end, "* ID NIL\r\n" + tag + " OK done\r\n");
    } else if (command == "LOGIN") {
      SeenLogin seen{command, take_argument(end, rest), {}, {}};
      seen.password = take_argument(end, rest);
      if (!rest.empty()) fail("the gate's LOGIN goes on: " + shown(rest));
      return seen;
    } else if (command == "AUTHENTICATE") {
      return read_auth(end, rest, "+ ");
    } else {
      fail("the gate does not log in but says " + shown(command + " " + rest));
    }
  }
}

Player::SeenLogin Player::read_pop3_login(const Step& step, End& end) {
  std::string rest = take_login_line(step, end);
  const std::string command = take_word(rest);
  if (command == "AUTH") return read_auth(end, rest, "+ ");
  if (command != "USER") fail("the gate does not log in but says " + shown(command + " " + rest));
  say(end, "+OK go on\r\n");
  const std::string line = take_line(end, true);
  if (!line.starts_with("PASS ")) fail("there is no PASS but " + shown(line));
  return {"LOGIN", rest, line.substr(5), {}};
}

Player::SeenLogin Player::read_submission_login(const Step& step, End& end) {
  for (;;) {
    std::string rest = take_login_line(step, end);
    // RFC 5321, section 4.5.3.1.4, with the line end.
    if (rest.size() + 2 > 512) fail("the gate's command has " + std::to_string(rest.size() + 2) + " octets");
    const std::string command = take_word(rest);
    if (command == "AUTH") return read_auth(end, rest, "334 ");
    if (command != "EHLO") fail("the gate does not log in but says " + shown(command + " " + rest));
    say(end, ehlo_reply(stage_.dialog().capability));
  }
}

// `rest` is what stands behind AUTH.
Player::SeenLogin Player::read_auth(End& end, std::string rest, const std::string& challenge_begin) {
  const std::string mechanism = upper(take_word(rest));
  if (mechanism == "LOGIN") {
    std::string answers[2];
    for (std::string& answer : answers) {
      say(end, challenge_begin + base64_of("Say it") + "\r\n");
      answer = octets_of_base64(take_line(end, true)).value_or("no base64");
    }
    return {mechanism, answers[0], answers[1], {}};
  }
  if (rest.empty()) {
    say(end, challenge_begin + "\r\n");
    rest = take_line(end, true);
  }
  return read_message(mechanism, rest);
}

// What a mechanism says in one message.
Player::SeenLogin Player::read_message(const std::string& mechanism, const std::string& base64) {
  const std::optional<std::string> message = octets_of_base64(base64);
  if (!message) fail("the gate's " + mechanism + " is no base64");
  const std::string separator(1, '\x01');
  const std::string token = between(*message, separator + "auth=Bearer ", separator);
  if (mechanism == "XOAUTH2") return {mechanism, between(*message, "user=", separator), token, {}};
  if (mechanism == "OAUTHBEARER") return {mechanism, between(*message, "n,a=", ","), token, {}};
  if (mechanism == "EXTERNAL") return {mechanism, *message, {}, {}};
  const size_t first = message->find('\0');
  const size_t second = first == std::string::npos ? first : message->find('\0', first + 1);
  if (mechanism != "PLAIN" || second == std::string::npos) fail("the gate's " + mechanism + " is none");
  return {mechanism, message->substr(first + 1, second - first - 1), message->substr(second + 1),
          message->substr(0, first)};
}

// A string of ManageSieve, quoted or as a literal, from the front of `rest`, which then goes on in the next line.
std::string Player::take_sieve_string(End& end, std::string& rest) {
  if (rest.starts_with('{') && !rest.ends_with("+}")) fail("nobody can tell the gate to go on with its literal");
  return take_argument(end, rest);
}

Player::SeenLogin Player::read_sieve_login(const Step& step, End& end) {
  std::string rest = take_login_line(step, end);
  const std::string command = take_word(rest);
  if (command != "AUTHENTICATE") fail("the gate does not log in but says " + shown(command + " " + rest));
  const std::string mechanism = take_sieve_string(end, rest);
  const auto take_next = [&] {
    std::string line = take_line(end, true);
    return take_sieve_string(end, line);
  };
  if (mechanism == "LOGIN") {
    std::string answers[2];
    for (std::string& answer : answers) {
      say(end, "\"" + base64_of("Say it") + "\"\r\n");
      answer = octets_of_base64(take_next()).value_or("no base64");
    }
    return {mechanism, answers[0], answers[1], {}};
  }
  return read_message(mechanism, take_sieve_string(end, rest));
}

// @id NAME="VALUE" ...: the command ID with at least these pairs, which is then answered.
void Player::expect_id(const Step& step, End& end) {
  const std::string line = take_line(end, false);
  const std::string tag = line.substr(0, line.find(' '));
  if (!line.substr(tag.size()).starts_with(" ID (")) fail("there is no ID but " + shown(line));
  for (const Word& word : step.what.words) {
    const std::string pair = "\"" + word.key + "\" \"" + word.value + "\"";
    if (line.find(pair) == std::string::npos) fail("the ID lacks " + pair + ": " + shown(line));
  }
  say(end, "* ID NIL\r\n" + tag + " OK done\r\n");
}

// @proxy from="ADDR" NAME="VALUE" ...: a PROXY header of version 2 with these values (section 2.2 of its specification).
void Player::expect_proxy(const Step& step, End& end) {
  static constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
  const auto is_whole = [&] {
    return end.inbox().size() >= 16 && end.inbox().size() >= 16 + number16(end.inbox(), 14);
  };
  if (!comes_true(step.within, is_whole) || !end.inbox().starts_with(signature)) {
    fail("there is no PROXY header but \"" + shown(end.inbox()) + "\"");
  }
  const std::string header = end.take(16 + number16(end.inbox(), 14));
  std::map<std::string, std::string> has;
  for (size_t i = 16; i < 20; ++i)
    has["from"] += (i == 16 ? "" : ".") + std::to_string(static_cast<unsigned char>(header.at(i)));
  static const std::map<char, std::string> names = {{'\x02', "sni"}, {'\x05', "session"}, {'\x20', "ssl"},
                                                    {'\x21', "tls"}, {'\x23', "cipher"},  {'\xe0', "user"}};
  // Behind the addresses; inside of the kind 0x20 further ones stand behind five octets.
  for (size_t i = 16 + 12; i + 3 <= header.size();) {
    const auto name = names.find(header[i]);
    const size_t size = number16(header, i + 1);
    has[name == names.end() ? "unknown" : name->second] = header.substr(i + 3, size);
    i += 3 + (header[i] == '\x20' ? 5 : size);
  }
  for (const Word& word : step.what.words) {
    if (has[word.key] != word.value) fail("the header's " + word.key + " is \"" + shown(has[word.key]) + "\"");
  }
}

// The command that begins TLS; in submission EHLO comes first, and is answered.
void Player::expect_starttls(const Step& step, End& end) {
  std::string line = take_line(end, false);
  if (step.dialect == Dialect::Submission && line.starts_with("EHLO ")) {
    say(end, ehlo_reply(stage_.dialog().capability));
    line = take_line(end, false);
  }
  std::string tag;
  if (step.dialect == Dialect::Imap) tag = take_word(line);
  if (line != words_in(step.dialect).starttls) fail("there is no STARTTLS but " + shown(line));
  tags_[step.who] = tag;
}

}  // namespace postern::dialog
