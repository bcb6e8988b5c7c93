// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/conform/talk.h"

#include <algorithm>
#include <random>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace postern::helper::conform {
namespace {

// Shorter passwords may turn up in a sentence by chance.
constexpr size_t echo_size_min = 8;

// Names and addresses need to be new, not secret.
uint64_t dice() {
  static std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// 198.18.0.0/15 is for tests between networks (RFC 2544, appendix C.2.2): nobody's rule is about it.
Endpoint new_address() {
  Endpoint endpoint;
  const uint64_t number = dice();
  endpoint.address = {198, static_cast<uint8_t>(18 + (number >> 16) % 2), static_cast<uint8_t>(number >> 8),
                      static_cast<uint8_t>(number)};
  endpoint.port = static_cast<uint16_t>(1024 + (number >> 32) % 60000);
  return endpoint;
}

bool has_raw_octets(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::any_of(line.begin(), line.end(), [](char c) { return c <= 0x20 || c >= 0x7f; });
}

}  // namespace

auth::Question question_for(std::string_view user, std::string_view password) {
  auth::Question question;
  question.protocol = "imap";
  question.mechanism = "PLAIN";
  question.user = user;
  question.password = Secret(password);
  question.client = new_address();
  question.local = *Endpoint::parse("192.0.2.1:993");
  question.listener = "conform";
  question.tls = "TLSv1.3";
  question.sni = "mail.example.test";
  question.session_id = "conform";
  return question;
}

auth::Question question_for_nobody(const Setup& setup) {
  return question_for(nobody(), setup.noise.reveal());
}

std::string nobody() {
  return absl::StrCat("conform-", absl::Hex(dice(), absl::kZeroPad16), "@example.invalid");
}

bool Talk::open(bool is_shown) {
  due_.clear();
  if (const std::string why = link_.connect(setup_.socket); !why.empty()) {
    finding_.fail(why);
    return false;
  }
  is_usual_ = !is_shown;
  say(auth::hello_line().reveal());
  const std::optional<auth::Heard> heard = next();
  const auto* hello = heard ? std::get_if<auth::HeardHello>(&*heard) : nullptr;
  if (!heard) {
    finding_.fail("no hello: " + link_.why());
  } else if (hello == nullptr) {
    finding_.fail("the answer to op=hello is not op=hello");
  } else if (hello->version != auth::protocol_version) {
    finding_.fail("its hello does not say version=1");
  } else if (hello->name.empty()) {
    finding_.fail("its hello says no name");
  }
  end_usual();
  return finding_.fault.empty();
}

void Talk::end_usual() {
  if (is_usual_ && !finding_.fault.empty() && !unshown_.empty()) finding_.came.add(unshown_.reveal());
  is_usual_ = false;
  unshown_.clear();
}

bool Talk::say(std::string_view bytes) {
  if (!is_usual_) finding_.sent.add(bytes);
  return link_.send(bytes);
}

std::optional<uint64_t> Talk::put(const auth::Question& question) {
  const uint64_t id = ++last_id_;
  const std::optional<Secret> line = auth::verify_line(id, question);
  if (!line) return std::nullopt;
  expect(id);
  say(line->reveal());
  return id;
}

std::optional<auth::HeardAnswer> Talk::ask(const auth::Question& question) {
  if (put(question)) return hear();
  finding_.fail("the user and the password make a line of more than 16384 bytes");
  return std::nullopt;
}

std::optional<auth::HeardAnswer> Talk::hear() {
  std::optional<auth::Heard> heard = next();
  if (!heard) {
    finding_.fail("no answer: " + link_.why());
    return std::nullopt;
  }
  if (auto* answer = std::get_if<auth::HeardAnswer>(&*heard)) {
    if (due_.erase(answer->id) != 0) return std::move(*answer);
    finding_.fail(absl::StrCat("id=", answer->id, " answers no question, or one that was answered before"));
  } else if (const auto* garbage = std::get_if<auth::HeardGarbage>(&*heard)) {
    finding_.fail("it sent " + std::string(garbage->why));
  } else if (std::holds_alternative<auth::HeardError>(*heard)) {
    finding_.fail("its result=error does not say to which id");
  } else {
    finding_.fail("a line with op= is no answer");
  }
  return std::nullopt;
}

std::optional<auth::Heard> Talk::next() {
  while (std::optional<Secret> line = link_.next_line()) {
    if (std::optional<auth::Heard> heard = take(*line)) return heard;
  }
  return std::nullopt;
}

bool Talk::hears_nothing(Duration span) {
  const Instant end = std::chrono::steady_clock::now() + span;
  while (true) {
    const auto left = std::chrono::duration_cast<Duration>(end - std::chrono::steady_clock::now());
    const std::optional<Secret> line = link_.next_line(std::max(left, Duration(0)));
    if (!line) return !link_.has_ended();
    if (take(*line)) return false;
  }
}

// Nothing: a line that may come at any time and answers nothing.
std::optional<auth::Heard> Talk::take(const Secret& line) {
  auth::Heard heard = auth::read_line(line.reveal());
  note(line.reveal(), heard);
  if (has_raw_octets(line.reveal())) finding_.fail("it sent octets that must be written as %XX");
  const bool is_passing =
      std::holds_alternative<auth::HeardInvalidate>(heard) || std::holds_alternative<auth::HeardNothing>(heard);
  return is_passing ? std::nullopt : std::optional<auth::Heard>(std::move(heard));
}

void Talk::note(std::string_view line, const auth::Heard& heard) {
  const auto* answer = std::get_if<auth::HeardAnswer>(&heard);
  if (answer != nullptr && shows_secret(answer->form)) {
    finding_.came.add("(not+shown)");
    finding_.fail("its answer repeats the password where people may read it");
  } else if (is_usual_) {
    unshown_ = Secret(line);
  } else {
    finding_.came.add(line);
  }
}

// Only where the gate looks for passwords may one stand.
bool Talk::shows_secret(const auth::Form& form) const {
  for (size_t i = 0; i < form.size(); ++i) {
    if (form.key(i) == "password" || form.key(i) == "master_password") continue;
    for (const Secret* secret : {&setup_.password, &setup_.noise}) {
      if (secret->size() < echo_size_min) continue;
      if (form.value(i).find(secret->reveal()) != std::string_view::npos) return true;
    }
  }
  return false;
}

void Talk::conclude() {
  if (!finding_.fault.empty()) return;
  is_usual_ = true;
  const std::optional<uint64_t> id = put(question_for_nobody(setup_));
  while (finding_.fault.empty()) {
    const std::optional<auth::HeardAnswer> answer = hear();
    if (answer && answer->id == id) break;
  }
  end_usual();
}

bool Talk::may_ignore(const auth::Heard& heard, const std::set<uint64_t>& hidden) {
  if (std::holds_alternative<auth::HeardError>(heard)) return true;
  const auto* answer = std::get_if<auth::HeardAnswer>(&heard);
  if (answer == nullptr) {
    finding_.fail("it sent a line that is no answer");
    return false;
  }
  if (result_of(*answer) == "ok") {
    finding_.fail("result=ok to a line that no gate sends");
  } else if (hidden.contains(answer->id) && result_of(*answer) != "error") {
    finding_.fail("it took a piece of a line for a question");
  }
  return finding_.fault.empty();
}

void Talk::conclude_hostile(const std::set<uint64_t>& hidden) {
  is_usual_ = true;
  std::optional<uint64_t> id = put(question_for_nobody(setup_));
  end_usual();
  bool reopened = false;
  while (finding_.fault.empty()) {
    std::optional<auth::Heard> heard = next();
    if (heard) {
      const auto* answer = std::get_if<auth::HeardAnswer>(&*heard);
      if (answer != nullptr && answer->id == id) return;
      if (!may_ignore(*heard, hidden)) return;
    } else if (reopened || !link_.has_ended()) {
      finding_.fail("the next question gets no answer: " + link_.why());
    } else {
      reopened = true;
      if (open()) id = put(question_for_nobody(setup_));
    }
  }
}

auth::Verdict read_verdict(const auth::HeardAnswer& heard, Finding& finding) {
  auth::Answer answer = auth::read_answer(heard.form, auth::BackPorts());
  if (!answer.fault.empty() && result_of(heard) != "error") finding.fail("the gate cannot use it: " + answer.fault);
  return std::move(answer.verdict);
}

std::string result_of(const auth::HeardAnswer& heard) {
  return std::string(heard.form.find("result").value_or("nothing"));
}

void expect_reject(const auth::HeardAnswer& heard, Finding& finding, std::string_view whom) {
  const auth::Verdict verdict = read_verdict(heard, finding);
  if (std::holds_alternative<auth::Reject>(verdict)) return;
  if (std::holds_alternative<auth::Accept>(verdict)) {
    finding.fail("result=ok to " + std::string(whom));
  } else {
    finding.fail("result=" + result_of(heard) + " to " + std::string(whom) + ": is what it asks in reach?");
  }
}

void expect_not_ok(const auth::HeardAnswer& heard, Finding& finding, std::string_view whom) {
  const auth::Verdict verdict = read_verdict(heard, finding);
  if (std::holds_alternative<auth::Accept>(verdict)) finding.fail("result=ok to " + std::string(whom));
}

void expect_error(const auth::HeardAnswer& heard, Finding& finding) {
  if (result_of(heard) != "error") finding.fail("result=" + result_of(heard) + " where result=error was due");
}

}  // namespace postern::helper::conform
