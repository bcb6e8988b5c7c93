// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/pop3/back.h"

#include <algorithm>
#include <utility>

#include "protocol/line/word.h"
#include "protocol/sasl/message.h"

namespace postern::pop3 {
namespace {

using protocol::BackEvent;
using protocol::BackFailure;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;

// "USER " or "PASS " in front and CRLF behind.
constexpr size_t argument_octets_max = command_octets_max - 7;
// Of an XCLIENT value: an address or a session's id. All of them fit on a line.
constexpr size_t xclient_value_size_max = 64;

bool fits_on_line(std::string_view argument) {
  return argument.size() <= argument_octets_max && argument.find_first_of("\r\n") == argument.npos;
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_word_char(char c) {
  return c > 0x20 && c < 0x7f;
}

// A refusal that speaks of the user or the password, or does not say of what. Most mail servers have no code for it.
bool is_about_credentials(const Response& response) {
  return response.code.empty() || line::same_word(response.code, "AUTH");
}

}  // namespace

Back::Event Back::on_line(std::string_view line) {
  if (state_ == State::CapaList) return on_capa_line(line);
  const Response response = parse_response(line);
  if (response.kind == ResponseKind::Garbage) return garbage();
  if (!xclient_pending_) return on_answer(response);
  if (response.kind == ResponseKind::Continue) return garbage();
  xclient_pending_ = false;
  return std::nullopt;
}

Back::Event Back::on_answer(const Response& response) {
  const bool may_go_on = state_ == State::Auth || state_ == State::Response;
  if (response.kind == ResponseKind::Continue && !may_go_on) return garbage();
  switch (state_) {
    case State::Greeting: return on_greeting(response);
    case State::Stls: return on_stls(response);
    case State::Capa: return on_capa(response);
    case State::CapaList: break;
    case State::Utf8: return on_utf8(response);
    case State::User: return on_user(response);
    case State::Pass: return on_pass(response);
    case State::Auth: return on_auth(response);
    case State::Response: return on_response(response);
  }
  return std::nullopt;
}

// --- The conversation, in its order. Where there is no word on Continue, on_answer() has dealt with it.

BackEvent Back::on_greeting(const Response& response) {
  if (response.kind != ResponseKind::Ok) return fail(BackFailure::Bye, "the mail server greets with -ERR");
  // This stays valid through STLS, though it came in clear: nothing says it again, and all that a stranger wins by
  // saying it is one refused command.
  xclient_offered_ = line::same_word(response.code, "XCLIENT");
  if (!wants_starttls()) return begin();
  state_ = State::Stls;
  return send("STLS\r\n");
}

BackEvent Back::on_stls(const Response& response) {
  if (response.kind != ResponseKind::Ok) {
    return fail(BackFailure::NoTls, "the mail server refuses STLS, which its pool wants");
  }
  return tls_agreed();
}

BackEvent Back::begin() {
  if (login().probe) return ask_capabilities();
  if (login_holds({"\0", 1})) {
    return fail(BackFailure::NoMechanism, "POP3 cannot carry a name or a password with NUL in it");
  }
  std::string first = xclient_command();
  if (!identity().utf8) return log_in(std::move(first));
  // RFC 6856, section 2.1: only before the login.
  state_ = State::Utf8;
  return send(first.append("UTF8\r\n"));
}

// The mail program has our word that messages come as UTF-8. Without it, it might take their makeshift copies for the
// originals, and delete those.
BackEvent Back::on_utf8(const Response& response) {
  if (response.kind != ResponseKind::Ok) {
    return fail(BackFailure::Bad, "the mail server refuses UTF8, which the mail program was promised");
  }
  return log_in({});
}

BackEvent Back::log_in(std::string before) {
  if (!login().master.empty()) return authenticate(Mechanism::Plain, std::move(before));
  const Mechanism mechanism = login().mechanism.value_or(fits_on_lines() ? Mechanism::Login : Mechanism::Plain);
  if (mechanism != Mechanism::Login) return authenticate(mechanism, std::move(before));
  // The route allows no other way.
  if (!fits_on_lines()) return wrong_password();
  state_ = State::User;
  return send(before.append("USER ").append(login().user).append("\r\n"));
}

BackEvent Back::on_user(const Response& response) {
  if (response.kind == ResponseKind::Ok) {
    state_ = State::Pass;
    return send_secret("PASS ", login().password.reveal());
  }
  // It may not know the user (RFC 1939, section 7, allows to say so), or it takes no USER at all, or none without TLS.
  return is_about_credentials(response) ? ask_capabilities() : turned_down(response);
}

BackEvent Back::on_pass(const Response& response) {
  return response.kind == ResponseKind::Ok ? welcomed(response) : turned_down(response);
}

BackEvent Back::authenticate(Mechanism mechanism, std::string before) {
  mechanism_ = mechanism;
  state_ = State::Auth;
  return send(before.append("AUTH ").append(protocol::mechanism_word(mechanism)).append("\r\n"));
}

BackEvent Back::on_auth(const Response& response) {
  if (response.kind == ResponseKind::Continue) {
    state_ = State::Response;
    const Secret message = client_message(mechanism_);
    // "=" is for an initial response that is empty; a line by itself may just be empty.
    return send_secret({}, message.reveal() == "=" ? std::string_view() : message.reveal());
  }
  if (response.kind == ResponseKind::Ok) return garbage();
  if (!is_about_credentials(response)) return turned_down(response);
  // It has seen no credentials yet.
  const bool makeshift = login().master.empty() && !login().mechanism && !fits_on_lines();
  if (makeshift) return wrong_password();
  return fail(BackFailure::NoMechanism,
              "the mail server does not take AUTH " + std::string(protocol::mechanism_word(mechanism_)));
}

BackEvent Back::on_response(const Response& response) {
  if (response.kind == ResponseKind::Ok) return welcomed(response);
  if (response.kind == ResponseKind::Err) return turned_down(response);
  // A refused token's reason; the refusal itself comes when we have answered (RFC 7628, section 3.2.3).
  if (!is_token(mechanism_) || std::exchange(token_refused_, true)) return garbage();
  return send(std::string(sasl::token_refusal_answer(mechanism_)).append("\r\n"));
}

// --- What the mail server can do.

BackEvent Back::ask_capabilities() {
  state_ = State::Capa;
  return send("CAPA\r\n");
}

Back::Event Back::on_capa(const Response& response) {
  // A mail server that does not know the command can do nothing beyond the bare protocol.
  if (response.kind != ResponseKind::Ok) return on_capabilities();
  state_ = State::CapaList;
  return std::nullopt;
}

// RFC 1939, section 3: the list ends with a dot, and a dot at the beginning of a line is sent twice.
Back::Event Back::on_capa_line(std::string_view line) {
  if (line == ".") return on_capabilities();
  if (line.starts_with('.')) line.remove_prefix(1);
  if (!std::all_of(line.begin(), line.end(), is_printable)) return std::nullopt;
  if (!capabilities_.empty()) capabilities_.push_back('\n');
  capabilities_.append(line);
  return std::nullopt;
}

// The end of a probe; or USER was refused, and now we know what that meant.
BackEvent Back::on_capabilities() {
  if (login().probe) return learned(std::move(capabilities_), "QUIT\r\n");
  if (capabilities_.empty() || has_capability(capabilities_, "USER")) return wrong_password();
  if (!login().mechanism && has_mechanism(capabilities_, "PLAIN")) return authenticate(Mechanism::Plain, {});
  if (has_capability(capabilities_, "STLS")) {
    return fail(BackFailure::NoTls, "the mail server wants TLS for a login; set tls for its pool");
  }
  return fail(BackFailure::NoMechanism, "the mail server takes neither USER nor AUTH PLAIN");
}

// --- The verdict.

BackEvent Back::welcomed(const Response& response) {
  return logged_in({.text = text_to_show(response.text)});
}

// RFC 2449, section 8, and RFC 3206. What is said of a wrong password tells more than a stranger should know, so our
// own sentence goes out.
BackEvent Back::turned_down(const Response& response) {
  if (is_about_credentials(response)) return wrong_password();
  Refusal refusal{RefusalCause::Passed, {}, text_to_show(response.text), {}};
  if (!holds_password(response.code)) refusal.code = response.code;
  return refused(std::move(refusal), !line::same_word(response.code, "SYS/TEMP"));
}

BackEvent Back::wrong_password() {
  return refused({RefusalCause::Credentials}, true);
}

BackEvent Back::garbage() {
  return fail(BackFailure::Garbage, "what should be " + std::string(awaited()) + " is not POP3's");
}

// --- What we say.

// The memory must not move with a password in it.
BackEvent Back::send_secret(std::string_view before, std::string_view secret) const {
  std::string line;
  line.reserve(before.size() + secret.size() + 2);
  line.append(before).append(secret).append("\r\n");
  return protocol::Send{Secret::take(line)};
}

bool Back::fits_on_lines() const {
  return fits_on_line(login().user) && fits_on_line(login().password.reveal());
}

std::string Back::xclient_command() {
  if (!identity().send || identity().front_address.empty() || !xclient_offered_) return {};
  std::string command = "XCLIENT";
  const auto add = [&command](std::string_view name, std::string_view value) {
    const bool fit = !value.empty() && value.size() <= xclient_value_size_max &&
                     std::all_of(value.begin(), value.end(), is_word_char);
    if (fit) command.append(" ").append(name).append("=").append(value);
  };
  add("ADDR", identity().front_address);
  add("PORT", std::to_string(identity().front_port));
  add("SESSION", identity().session_id);
  add("TTL", std::to_string(identity().hops_left));
  xclient_pending_ = true;
  return command.append("\r\n");
}

std::string_view Back::awaited() const {
  if (xclient_pending_) return "its answer to XCLIENT";
  switch (state_) {
    case State::Greeting: return "its greeting";
    case State::Stls: return "its answer to STLS";
    case State::Capa:
    case State::CapaList: return "its answer to CAPA";
    case State::Utf8: return "its answer to UTF8";
    case State::User:
    case State::Pass:
    case State::Auth:
    case State::Response: return "its answer to the login";
  }
  return "the end";
}

}  // namespace postern::pop3
