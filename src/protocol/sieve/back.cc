// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sieve/back.h"

#include <utility>

#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/message.h"

namespace postern::sieve {
namespace {

using protocol::BackEvent;
using protocol::BackFailure;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;

}  // namespace

Back::Event Back::on_line(std::string_view line) {
  const Response response = parse_response(line);
  if (response.status == Status::Bye) {
    // "Your scripts are elsewhere" ends the session, but it says nothing about others.
    if (state_ == State::Login && line::same_word(response.code, "REFERRAL")) return turned_down(response);
    return fail(BackFailure::Bye, "the mail server said BYE before " + std::string(awaited()));
  }
  switch (state_) {
    case State::Greeting:
    case State::Secured: return on_capabilities(response, line);
    case State::StartTls: return on_starttls(response);
    case State::Login: return on_login(response, line);
  }
  return std::nullopt;
}

// --- The conversation, in its order.

Back::Event Back::on_capabilities(const Response& response, std::string_view line) {
  switch (response.status) {
    case Status::Ok: return begin();
    case Status::No: return fail(BackFailure::Bye, "the mail server said NO where it should say what it can do");
    case Status::Bye:
    case Status::None: break;
  }
  if (!line.starts_with('"') && !line.starts_with('{')) {
    return fail(BackFailure::Garbage, state_ == State::Greeting ? "the greeting is not ManageSieve's"
                                                                : "the capabilities inside TLS are not ManageSieve's");
  }
  note_capability(line);
  return std::nullopt;
}

// What cannot be understood is no help to us and may be meant for others.
void Back::note_capability(std::string_view line) {
  const std::optional<Capability> capability = parse_capability(line);
  if (!capability) return;
  if (line::same_word(capability->name, "SASL")) mechanisms_ = capability->value.value_or(std::string());
  if (line::same_word(capability->name, "STARTTLS")) offers_starttls_ = true;
  if (!login().probe) return;
  if (!capabilities_.empty()) capabilities_.push_back('\n');
  capabilities_.append(write_capability(*capability));
}

BackEvent Back::begin() {
  if (!wants_starttls()) return log_in();
  if (!offers_starttls_) {
    return fail(BackFailure::NoTls, "the mail server does not offer STARTTLS, which its pool wants");
  }
  state_ = State::StartTls;
  return send("STARTTLS\r\n");
}

Back::Event Back::on_starttls(const Response& response) {
  switch (response.status) {
    case Status::Ok: return tls_agreed();
    case Status::No: return fail(BackFailure::NoTls, "the mail server refuses STARTTLS, which its pool wants");
    case Status::Bye:
    case Status::None: break;
  }
  return fail(BackFailure::Garbage, "the answer to STARTTLS is not ManageSieve's");
}

BackEvent Back::secured() {
  // What was said in clear may have been anybody's words (RFC 5804, section 2.2).
  mechanisms_.clear();
  offers_starttls_ = false;
  capabilities_.clear();
  state_ = State::Secured;
  // We do not have the word yet: the list comes first, and may be here already.
  return next();
}

BackEvent Back::log_in() {
  if (login().probe) return learned(std::move(capabilities_), "LOGOUT\r\n");
  if (login_holds({"\0", 1})) {
    return fail(BackFailure::NoMechanism, "ManageSieve cannot carry a name or a password with NUL in it");
  }
  const Mechanism mechanism = way_in();
  if (protocol::is_scram(mechanism)) {
    return fail(BackFailure::NoMechanism, "SCRAM leaves nothing that could be passed on to the mail server");
  }
  if (!offers(mechanism)) {
    // RFC 5804, section 1.7: an empty list beside STARTTLS means that TLS comes first.
    const bool in_clear = mechanisms_.empty() && offers_starttls_;
    return fail(in_clear ? BackFailure::NoTls : BackFailure::NoMechanism, no_way_in(mechanism));
  }
  write_authenticate(mechanism);
  state_ = State::Login;
  return send_script();
}

Back::Event Back::on_login(const Response& response, std::string_view line) {
  switch (response.status) {
    case Status::Ok: return logged_in({{}, text_to_show(response.text.text()), {}});
    case Status::No: return turned_down(response);
    case Status::Bye:
    case Status::None: break;
  }
  return on_challenge(line);
}

// What the challenge asks for is known beforehand: LOGIN's asks for the next thing, and a token's says why it is not
// taken (RFC 7628, section 3.2.3).
Back::Event Back::on_challenge(std::string_view line) {
  String challenge;
  if (!is_string(line, challenge)) return fail(BackFailure::Garbage, "the answer to the login is not ManageSieve's");
  if (script_sent_ < script_.size()) return send_script();
  return fail(BackFailure::Garbage, "the mail server asks to go on where nothing is left to say");
}

// RFC 5804, section 1.3. A wrong password has no code; what such an answer tells is more than a stranger should know, so
// our text goes out.
BackEvent Back::turned_down(const Response& response) {
  const auto is = [&response](std::string_view code) { return line::same_word(response.code, code); };
  if (is("ENCRYPT-NEEDED")) {
    return fail(BackFailure::NoTls, "the mail server wants TLS for a login; set tls for its pool");
  }
  if (is("AUTH-TOO-WEAK")) {
    return fail(BackFailure::NoTls, "the mail server finds " + std::string(protocol::mechanism_word(way_in())) +
                                        " too weak here; set tls for its pool, or another mechanism for the route");
  }
  Refusal refusal{RefusalCause::Credentials, {}, {}, {}};
  bool definitive = true;
  if (is("REFERRAL")) {
    // Its text is for people. Its address is for mail programs, which would go round the gate.
    refusal.cause = RefusalCause::Unavailable;
    refusal.text = text_to_show(response.text.text());
    definitive = false;
  } else if (!response.code.empty()) {
    refusal.cause = RefusalCause::Passed;
    refusal.text = text_to_show(response.text.text());
    // Only the name: what stands behind it belongs to answers that are not passed on.
    if (is_passable_code(response.code) && !holds_password(response.code)) refusal.code = std::string(response.code);
    definitive = !is("TRYLATER");
  }
  return refused(std::move(refusal), definitive);
}

// --- What we say.

bool Back::offers(Mechanism mechanism) const {
  std::string_view offered = mechanisms_;
  while (!offered.empty()) {
    if (protocol::sasl_mechanism(line::take_word(offered)) == mechanism) return true;
  }
  return false;
}

Mechanism Back::way_in() const {
  if (!login().master.empty()) return Mechanism::Plain;
  if (login().mechanism == Mechanism::Login) return Mechanism::SaslLogin;
  if (login().mechanism) return *login().mechanism;
  return !offers(Mechanism::Plain) && offers(Mechanism::SaslLogin) ? Mechanism::SaslLogin : Mechanism::Plain;
}

std::string Back::no_way_in(Mechanism wanted) const {
  if (mechanisms_.empty() && offers_starttls_) return "the mail server wants TLS for a login; set tls for its pool";
  const std::string without = "the mail server does not offer " + std::string(protocol::mechanism_word(wanted));
  if (!login().master.empty()) return without + ", which a master user needs";
  if (login().mechanism) return without + ", which this login needs";
  return "the mail server offers neither PLAIN nor LOGIN";
}

BackEvent Back::send_script() {
  return protocol::Send{std::move(script_[script_sent_++])};
}

void Back::write_authenticate(Mechanism mechanism) {
  const std::string command = "AUTHENTICATE \"" + std::string(protocol::mechanism_word(mechanism)) + "\"";
  if (mechanism == Mechanism::SaslLogin) {
    script_.push_back(Secret(command + "\r\n"));
    write_part({}, sasl::base64_encode(login().user));
    std::string password = sasl::base64_encode(login().password.reveal());
    write_part({}, password);
    wipe(password);
    return;
  }
  const Secret message = client_message(mechanism);
  // An empty message is "=" elsewhere (RFC 4959), and an empty string here.
  write_part(command + " ", message.reveal() == "=" ? std::string_view() : message.reveal());
  if (protocol::is_token(mechanism)) write_part({}, sasl::token_refusal_answer(mechanism));
}

void Back::write_part(std::string_view before, std::string_view base64) {
  std::string part;
  // The memory must not move with a password in it.
  part.reserve(before.size() + 2 * base64.size() + string_room + 2);
  part.append(before);
  append_string(part, base64, LiteralForm::OfClient);
  part.append("\r\n");
  script_.push_back(Secret::take(part));
}

// A mail server's longest string is its list of Sieve extensions, or a text for people; both stay far below this.
std::optional<line::CommandLimits> Back::literals() const {
  return line::CommandLimits{line_size_max, line_size_max, line_size_max, 0, false};
}

std::string_view Back::awaited() const {
  switch (state_) {
    case State::Greeting: return "the end of its greeting";
    case State::StartTls: return "its answer to STARTTLS";
    case State::Secured: return "its capabilities inside TLS";
    case State::Login: return "its answer to the login";
  }
  return "the end";
}

}  // namespace postern::sieve
