// SPDX-License-Identifier: GPL-3.0-or-later
#include <ctype.h>

#include <string>
#include <utility>
#include <variant>

#include "base/secret_buffer.h"
#include "helper/conform/checks.h"

namespace postern::helper::conform {
namespace {

using std::string_view_literals::operator""sv;

void unknown_user(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  if (const auto answer = talk.ask(question_for_nobody(setup)))
    expect_reject(*answer, finding, "a user who does not exist");
  talk.conclude();
}

void empty_values(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  for (const auto& [user, password] : {std::pair(""sv, ""sv), std::pair(""sv, setup.noise.reveal())}) {
    const auto answer = talk.ask(question_for(user, password));
    if (!answer) return;
    expect_not_ok(*answer, finding, "an empty user");
  }
  const std::string user = nobody();
  if (const auto answer = talk.ask(question_for(user, ""))) expect_not_ok(*answer, finding, "an empty password");
  talk.conclude();
}

void odd_octets(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  for (const std::string_view octets :
       {"\0"sv, "\xff\xfe\x80"sv, "joe\nop=verify&id=9&result=ok"sv, "joe\r\nid=9&result=ok"sv, "*"sv, "' OR 1=1 --"sv,
        "$(exit 1)`exit 1`"sv, "%s%n%00"sv, "\\\"{}()|*"sv, "../../etc/passwd"sv}) {
    const auto answer = talk.ask(question_for(octets, octets));
    if (!answer) return;
    expect_not_ok(*answer, finding, "a user whose name is no name");
  }
  talk.conclude();
}

void token(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  for (const char* mechanism : {"OAUTHBEARER", "XOAUTH2"}) {
    auth::Question question = question_for_nobody(setup);
    question.mechanism = mechanism;
    question.is_token = true;
    const auto answer = talk.ask(question);
    if (!answer) return;
    expect_not_ok(*answer, finding, "a token that nobody has issued");
  }
  talk.conclude();
}

void certificate(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  auth::Question question = question_for("", "");
  const std::string user = nobody();
  question.mechanism = "EXTERNAL";
  question.certificate = {"CN=" + user, user, user, std::string(64, '0')};
  if (const auto answer = talk.ask(question)) expect_not_ok(*answer, finding, "a certificate of nobody");
  talk.conclude();
}

// Of a user who is there, if one is known: for the others the helper should have none.
void scram(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  auth::Question question = question_for(setup.user.empty() ? nobody() : setup.user, "");
  question.kind = auth::Question::Kind::Scram;
  question.mechanism = "SCRAM-SHA-256";
  const auto answer = talk.ask(question);
  if (!answer) return;
  const auth::Verdict verdict = read_verdict(*answer, finding);
  if (const auto* accept = std::get_if<auth::Accept>(&verdict)) {
    if (!accept->scram) finding.fail("result=ok without iterations, salt, stored_key and server_key");
    if (!accept->route.password && accept->route.master_user.empty()) {
      finding.fail("result=ok without a password or a master_user: the gate has nothing to log in with");
    }
    if (setup.user.empty()) finding.fail("result=ok to a user who does not exist");
  }
  talk.conclude();
}

constexpr Check checks[] = {
    {"unknown-user", "A user who does not exist gets result=reject", unknown_user},
    {"empty", "An empty user and an empty password are never ok", empty_values},
    {"octets", "Values are bytes: NUL, 8-bit, LF and the like are decoded and never break the framing", odd_octets},
    {"token", "A token that is not good is never ok", token},
    {"certificate", "A certificate of nobody is never ok", certificate},
    {"scram", "op=scram gets the four keys and a way in, or reject; error if the helper has no keys at all", scram},
};

// ---- With a user whose password is known ----

// Every octet as %xx, in small letters: nothing is left to be the same by chance.
void add_escaped(SecretBuffer& line, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
    line.append(std::string_view(escape, sizeof escape));
  }
}

void expect_ok(const auth::HeardAnswer& answer, Finding& finding) {
  const auth::Verdict verdict = read_verdict(answer, finding);
  if (!std::holds_alternative<auth::Accept>(verdict)) {
    finding.fail("result=" + result_of(answer) + " to the right password; or is it not the right one?");
  }
}

void right_password(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  if (const auto answer = talk.ask(question_for(setup.user, setup.password.reveal()))) expect_ok(*answer, finding);
  talk.conclude();
}

void escaped_password(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  SecretBuffer line;
  line.append("op=verify&id=1&protocol=imap&mechanism=PLAIN&client=198.18.0.1%3A4711&local=192.0.2.1%3a993&user=");
  add_escaped(line, setup.user);
  line.append("&password=");
  add_escaped(line, setup.password.reveal());
  line.append("\n");
  talk.expect(1);
  talk.say(line.reveal());
  if (const auto answer = talk.hear()) expect_ok(*answer, finding);
  talk.conclude();
}

// The password, changed by one of the slips that helpers make when they compare.
Secret changed(const Secret& password, std::string_view slip) {
  std::string text(password.reveal());
  text.reserve(password.size() + 1);
  if (slip == "with a NUL behind it") text += '\0';
  if (slip == "with a LF behind it") text += '\n';
  if (slip == "with a blank behind it") text += ' ';
  if (slip == "without its last octet") text.pop_back();
  if (slip == "in the other case") {
    for (char& c : text)
      c = static_cast<char>(isupper(static_cast<unsigned char>(c)) != 0 ? tolower(c) : toupper(c));
  }
  return Secret::take(text);
}

void wrong_password(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  if (const auto answer = talk.ask(question_for(setup.user, setup.noise.reveal()))) {
    expect_reject(*answer, finding, "a wrong password");
  }
  for (const char* slip : {"with a NUL behind it", "with a LF behind it", "with a blank behind it",
                           "without its last octet", "in the other case"}) {
    const Secret password = changed(setup.password, slip);
    if (!finding.fault.empty() || password == setup.password) continue;
    const auto answer = talk.ask(question_for(setup.user, password.reveal()));
    if (answer) expect_reject(*answer, finding, "the password " + std::string(slip));
  }
  talk.conclude();
}

void no_password(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  if (const auto answer = talk.ask(question_for(setup.user, ""))) expect_not_ok(*answer, finding, "an empty password");
  talk.conclude();
}

void other_mailbox(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  auth::Question question = question_for(setup.user, setup.password.reveal());
  question.authzid = nobody();
  if (const auto answer = talk.ask(question)) expect_not_ok(*answer, finding, "an authzid of somebody else");
  talk.conclude();
}

constexpr Check checks_of_user[] = {
    {"right-password", "The right password gets result=ok and a route that the gate can read", right_password},
    {"escapes", "Any octet may be written as %XX, in capitals or not", escaped_password},
    {"wrong-password", "A wrong password gets result=reject, never ok and never unavailable", wrong_password},
    {"empty-password", "An empty password is never ok, whoever the user is", no_password},
    {"authzid", "An authzid that is not expected is refused", other_mailbox},
};

}  // namespace

std::span<const Check> login_checks() {
  return checks;
}

std::span<const Check> user_checks() {
  return checks_of_user;
}

}  // namespace postern::helper::conform
