// SPDX-License-Identifier: GPL-3.0-or-later
// The mail server's part in a login: whatever legal form the gate chose, played through to the credentials.
#include <algorithm>
#include <charconv>
#include <map>

#include "player.h"

namespace postern::dialog {
namespace {

constexpr char usual_capability[] = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID IDLE";

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string take_word(std::string& rest) {
  const std::string word = rest.substr(0, rest.find(' '));
  rest.erase(0, std::min(rest.size(), word.size() + 1));
  return word;
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

// @login "USER" "PASSWORD" [for "MAILBOX"] [by LOGIN|PLAIN]
void Player::expect_login(const Step& step, End& end) {
  const std::string& capability = stage_.dialog().capability;
  std::map<std::string, std::string> wanted;
  for (size_t i = 2; i + 1 < step.what.words.size(); i += 2)
    wanted[step.what.words[i].value] = step.what.words[i + 1].value;
  std::string user, password, mailbox, method;
  while (method.empty()) {
    if (!comes_true(step.within, [&] { return end.inbox().find("\r\n") != std::string::npos; })) {
      fail("there is no login at " + step.who + ", only \"" + shown(end.inbox()) + "\"");
    }
    std::string rest = take_line(end, true);
    const std::string tag = take_word(rest), command = upper(take_word(rest));
    tags_[step.who] = tag;
    if (command == "CAPABILITY") {
      say(end, "* CAPABILITY " + (capability.empty() ? usual_capability : capability) + "\r\n" + tag + " OK done\r\n");
    } else if (command == "ID") {
      say(end, "* ID NIL\r\n" + tag + " OK done\r\n");
    } else if (command == "LOGIN") {
      user = take_argument(end, rest);
      password = take_argument(end, rest);
      if (!rest.empty()) fail("the gate's LOGIN goes on: " + shown(rest));
      method = command;
    } else if (command == "AUTHENTICATE" && upper(take_word(rest)) == "PLAIN") {
      if (rest.empty()) {
        say(end, "+ \r\n");
        rest = take_line(end, true);
      }
      const std::optional<std::string> message = octets_of_base64(rest);
      const size_t first = message ? message->find('\0') : std::string::npos;
      const size_t second = first == std::string::npos ? first : message->find('\0', first + 1);
      if (second == std::string::npos) fail("the gate's PLAIN is no PLAIN");
      mailbox = message->substr(0, first);
      user = message->substr(first + 1, second - first - 1);
      password = message->substr(second + 1);
      method = "PLAIN";
    } else {
      fail("the gate does not log in but says " + shown(command + " " + rest));
    }
  }
  if (user != step.what.words.at(0).value) fail("the login's user is \"" + shown(user) + "\"");
  if (password != step.what.words.at(1).value) fail("the login's password is \"" + shown(password) + "\"");
  if (mailbox != wanted["for"]) fail("the login is for \"" + shown(mailbox) + "\"");
  if (!wanted["by"].empty() && method != wanted["by"]) fail("the login is by " + method);
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

void Player::expect_starttls(End& end) {
  const std::string line = take_line(end, false);
  const size_t space = std::min(line.find(' '), line.size());
  if (line.substr(space) != " STARTTLS") fail("there is no STARTTLS but " + shown(line));
  tags_["back"] = line.substr(0, space);
  for (size_t number = 1; number <= world_.backs(); ++number) {
    if (world_.back(number) == &end && number > 1) tags_["back" + std::to_string(number)] = line.substr(0, space);
  }
}

}  // namespace postern::dialog
