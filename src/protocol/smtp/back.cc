// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/back.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/message.h"
#include "protocol/smtp/command.h"
#include "protocol/smtp/reply.h"
#include "protocol/smtp/xtext.h"

namespace postern::smtp {
namespace {

using protocol::BackEvent;
using protocol::BackFailure;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;
using protocol::Send;

// With its line end (RFC 5321, section 4.5.3.1.4). AUTH with an initial response is bound by it too.
constexpr size_t command_size_max = 512;
// Of an attribute's value in XCLIENT: the longest that Postfix takes.
constexpr size_t attribute_size_max = 255;

constexpr std::string_view unavailable = "[UNAVAILABLE]";

// One or several XCLIENT commands. The last two attributes are LOGIN and ADDR, and must go together into the last
// command: any XCLIENT without LOGIN takes the user back, and from ADDR on the right to say XCLIENT is the mail program's.
// Nothing: they do not fit into a line.
std::optional<std::vector<std::string>> xclient_commands(const std::vector<std::string>& attributes, size_t together) {
  constexpr std::string_view verb = "XCLIENT";
  std::string rest(verb);
  std::string last;
  for (size_t i = 0; i < attributes.size(); ++i)
    (i + together < attributes.size() ? rest : last).append(" ").append(attributes[i]);
  if (rest.size() + last.size() + 2 <= command_size_max) return std::vector{rest + last + "\r\n"};
  last.insert(0, verb);
  if (rest.size() + 2 > command_size_max || last.size() + 2 > command_size_max) return std::nullopt;
  return std::vector{rest + "\r\n", last + "\r\n"};
}

// "IPV6:" as in an address literal (RFC 5321, section 4.1.3).
std::string address_of(std::string_view address) {
  if (address.empty()) return std::string(unavailable);
  return (address.find(':') == address.npos ? "" : "IPV6:") + write_xtext(address);
}

std::string port_of(uint16_t port) {
  return port == 0 ? std::string(unavailable) : std::to_string(port);
}

// A line of its own, in base64.
Secret response_of(std::string_view octets) {
  std::string base64 = sasl::base64_encode(octets);
  std::string line;
  // No reallocation with a secret in it.
  line.reserve(base64.size() + 2);
  line.append(base64).append("\r\n");
  wipe(base64);
  return Secret::take(line);
}

}  // namespace

Back::Event Back::on_line(std::string_view line) {
  const std::optional<ReplyLine> reply = parse_reply_line(line);
  if (!reply || (code_ != 0 && reply->code != code_)) {
    return fail(BackFailure::Garbage, std::string(awaited()) + " is not SMTP's");
  }
  note_text(reply->text, code_ == 0);
  code_ = reply->code;
  if (!reply->last) return std::nullopt;
  return on_reply(std::exchange(code_, 0));
}

// Texts are for people: only those that EHLO and AUTH bring are of use.
void Back::note_text(std::string_view text, bool is_first) {
  if (state_ == State::Hello && !is_first && !text.empty()) {
    if (!capabilities_.empty()) capabilities_.push_back('\n');
    capabilities_.append(text);
  }
  if (state_ != State::Auth) return;
  if (is_first) {
    text_.clear();
    enhanced_.clear();
  }
  const std::string_view enhanced = take_enhanced_code(text);
  if (enhanced_.empty()) enhanced_ = enhanced;
  // Line by line, so that nothing here ever holds the password; and again as a whole, before it is shown.
  const std::string line = shown(text);
  if (!text_.empty() && !line.empty()) text_.push_back(' ');
  text_.append(line);
}

BackEvent Back::on_reply(unsigned code) {
  if (code == 421) return fail(BackFailure::Bye, "the mail server said 421 instead of " + std::string(awaited()));
  switch (state_) {
    case State::Greeting: return on_greeting(code);
    case State::Hello: return on_hello(code);
    case State::StartTls: return on_starttls(code);
    case State::Xclient: return on_xclient(code);
    case State::Auth: break;
  }
  return on_auth(code);
}

// --- The conversation, in its order.

BackEvent Back::on_greeting(unsigned code) {
  if (code >= 400) return fail(BackFailure::Bye, "the mail server turns us away with its greeting");
  if (code != 220) return fail(BackFailure::Garbage, std::string(awaited()) + " is not SMTP's");
  return say_hello();
}

BackEvent Back::say_hello() {
  capabilities_.clear();
  state_ = State::Hello;
  const bool in_by_xclient = xclient_done_ && identity().send_login;
  std::string_view name = login().probe ? std::string_view() : identity().helo;
  if (!is_helo(name)) name = identity().hostname;
  if (!is_helo(name)) name = "localhost";
  return send((in_by_xclient && identity().helo_is_old ? "HELO " : "EHLO ") + std::string(name) + "\r\n");
}

BackEvent Back::on_hello(unsigned code) {
  if (code != 250) {
    return fail(code / 100 == 4 ? BackFailure::Bye : BackFailure::Bad, "the mail server refuses our EHLO");
  }
  if (wants_starttls()) return start_tls();
  if (login().probe) return learned(std::move(capabilities_), "QUIT\r\n");
  if (wants_xclient()) return say_xclient();
  if (!identity().send_login) return authenticate();
  if (!xclient_done_) {
    return fail(BackFailure::NoMechanism, "the mail server does not offer XCLIENT, which its route wants");
  }
  return logged_in({std::move(capabilities_), {}, {}});
}

BackEvent Back::start_tls() {
  if (!offers("STARTTLS")) {
    return fail(BackFailure::NoTls, "the mail server does not offer STARTTLS, which its pool wants");
  }
  state_ = State::StartTls;
  return send("STARTTLS\r\n");
}

BackEvent Back::on_starttls(unsigned code) {
  if (code == 220) return tls_agreed();
  return fail(BackFailure::NoTls, "the mail server refuses STARTTLS, which its pool wants");
}

// What was said in clear may have been anybody's words (RFC 3207, section 4.2).
BackEvent Back::secured() {
  return say_hello();
}

// --- XCLIENT

bool Back::wants_xclient() const {
  return !xclient_done_ && (identity().send || identity().send_login) && offers("XCLIENT");
}

BackEvent Back::say_xclient() {
  if (identity().send_login && (!offers("XCLIENT", "LOGIN") || login().user.empty())) {
    return fail(BackFailure::NoMechanism, "the mail server's XCLIENT does not take LOGIN, which its route wants");
  }
  const std::vector<std::string> attributes = xclient_attributes();
  if (attributes.empty()) return authenticate();
  const size_t together = identity().send_login ? 2 : 1;
  const auto commands = xclient_commands(attributes, together);
  if (!commands) return fail(BackFailure::NoMechanism, "the user's name is too long for XCLIENT");
  for (const std::string& command : *commands)
    script_.emplace_back(command);
  state_ = State::Xclient;
  return send_script();
}

// Only what the mail server lists. NAME must be said, or it would go on with the gate's own name; nobody has looked up
// the mail program's. HELO and PROTO need not: the EHLO that follows says both.
std::vector<std::string> Back::xclient_attributes() const {
  std::vector<std::string> attributes;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.size() > attribute_size_max || !offers("XCLIENT", name)) return;
    attributes.push_back(std::string(name) + "=" + value);
  };
  add("NAME", std::string(unavailable));
  add("PORT", port_of(identity().front_port));
  add("DESTADDR", address_of(identity().local_address));
  add("DESTPORT", port_of(identity().local_port));
  if (!identity().session_id.empty()) add("SESSION", write_xtext(identity().session_id));
  add("TTL", std::to_string(identity().hops_left));
  if (identity().send_login) attributes.push_back("LOGIN=" + write_xtext(login().user));
  add("ADDR", address_of(identity().front_address));
  return attributes;
}

BackEvent Back::on_xclient(unsigned code) {
  const bool taken = code / 100 == 2;
  if (taken && script_sent_ < script_.size()) return send_script();
  if (!taken && identity().send_login) {
    return fail(BackFailure::NoMechanism, "the mail server refuses XCLIENT, which its route wants");
  }
  // Without LOGIN it is a courtesy: whatever the mail server thinks of it, the login goes on.
  xclient_done_ = true;
  script_.clear();
  script_sent_ = 0;
  return say_hello();
}

// --- AUTH

BackEvent Back::authenticate() {
  if (login_holds({"\0", 1})) {
    return fail(BackFailure::NoMechanism, "AUTH cannot carry a name or a password with NUL in it");
  }
  mechanism_ = way_in();
  // A mechanism that the route names is tried even if it is not announced.
  const bool named = login().master.empty() && login().mechanism == mechanism_;
  if (!named && !offers("AUTH", protocol::mechanism_word(mechanism_))) {
    if (!offers("AUTH") && offers("STARTTLS")) {
      return fail(BackFailure::NoTls, "the mail server offers no AUTH without TLS; set tls for its pool");
    }
    return fail(BackFailure::NoMechanism, login().master.empty()
                                              ? "the mail server offers neither AUTH PLAIN nor AUTH LOGIN"
                                              : "the mail server does not offer AUTH PLAIN, which a master user needs");
  }
  mechanism_ == Mechanism::SaslLogin ? write_auth_login() : write_auth(mechanism_);
  state_ = State::Auth;
  return send_script();
}

Mechanism Back::way_in() const {
  if (!login().master.empty()) return Mechanism::Plain;
  const bool plain_or_login = offers("AUTH", "PLAIN") || !offers("AUTH", "LOGIN");
  const Mechanism usual = plain_or_login ? Mechanism::Plain : Mechanism::SaslLogin;
  switch (login().mechanism.value_or(Mechanism::Login)) {
    case Mechanism::Plain: return Mechanism::Plain;
    case Mechanism::SaslLogin: return Mechanism::SaslLogin;
    case Mechanism::OAuthBearer: return Mechanism::OAuthBearer;
    case Mechanism::XOAuth2: return Mechanism::XOAuth2;
    case Mechanism::External: return Mechanism::External;
    // SMTP has no login command of its own, and SCRAM leaves nothing that could be passed on.
    case Mechanism::Login:
    case Mechanism::ScramSha256:
    case Mechanism::ScramSha256Plus: break;
  }
  return usual;
}

void Back::write_auth(Mechanism mechanism) {
  const Secret message = client_message(mechanism);
  std::string first;
  first.reserve(message.size() + 64);
  first.append("AUTH ").append(protocol::mechanism_word(mechanism));
  const bool at_once = first.size() + 1 + message.size() + 2 <= command_size_max;
  if (at_once) first.append(" ").append(message.reveal());
  first.append("\r\n");
  script_.push_back(Secret::take(first));
  if (at_once) return;
  std::string response;
  response.reserve(message.size() + 2);
  response.append(message.reveal()).append("\r\n");
  script_.push_back(Secret::take(response));
}

// Name and password each wait for their prompt. Its words do not matter: everyone has his own.
void Back::write_auth_login() {
  script_.emplace_back(std::string_view("AUTH LOGIN\r\n"));
  script_.push_back(response_of(login().user));
  script_.push_back(response_of(login().password.reveal()));
}

BackEvent Back::on_auth(unsigned code) {
  if (code == 235) return logged_in({std::move(capabilities_), shown(text_), {}});
  if (code != 334) return turned_down(code);
  if (script_sent_ < script_.size()) return send_script();
  // Why the token is refused; the refusal itself comes behind our answer.
  if (protocol::is_token(mechanism_) && !std::exchange(token_answered_, true)) {
    return send(std::string(sasl::token_refusal_answer(mechanism_)) + "\r\n");
  }
  return fail(BackFailure::Garbage, "the mail server asks to go on where nothing is left to say");
}

// RFC 4954, section 6. What a mail server says to a wrong password may tell more than a stranger should know, so our own
// words go out.
BackEvent Back::turned_down(unsigned code) {
  if (code == 530 || code == 538) {
    return fail(BackFailure::NoTls, "the mail server wants TLS for a login; set tls for its pool");
  }
  if (code == 504) {
    return fail(BackFailure::NoMechanism,
                "the mail server does not know AUTH " + std::string(protocol::mechanism_word(mechanism_)));
  }
  if (code >= 500 && code <= 503) return fail(BackFailure::Bad, "the mail server does not understand the login");
  if (code < 400) return fail(BackFailure::Garbage, "the answer to the login is not SMTP's");
  if (code == 535) return refused({.cause = RefusalCause::Credentials}, true);
  Refusal refusal{.cause = RefusalCause::Passed, .text = shown(text_)};
  const bool temporary = code < 500;
  // An enhanced code that contradicts its reply is nonsense.
  const std::string digit = std::to_string(code / 100);
  refusal.code = std::to_string(code) + " " + (enhanced_.starts_with(digit) ? enhanced_ : digit + ".7.0");
  return refused(std::move(refusal), !temporary);
}

// --- How we say it, and what of theirs goes out.

BackEvent Back::send_script() {
  return Send{std::move(script_[script_sent_++])};
}

// Some list mechanisms as "AUTH=LOGIN PLAIN" as well; that is the first word of the same.
bool Back::offers(std::string_view keyword, std::string_view word) const {
  std::string_view list = capabilities_;
  while (!list.empty()) {
    std::string_view line = line::take_line(list);
    const std::string_view here = capability_keyword(line);
    if (!line::same_word(here, keyword)) continue;
    if (word.empty()) return true;
    line.remove_prefix(std::min(here.size() + 1, line.size()));
    while (!line.empty()) {
      if (line::same_word(line::take_word(line), word)) return true;
    }
  }
  return false;
}

std::string Back::shown(std::string_view text) const {
  std::string base64 = sasl::base64_encode(login().password.reveal());
  std::string line = line::one_line(text, line_size_max);
  const bool found = !base64.empty() && line.find(base64) != std::string::npos;
  wipe(base64);
  wipe(line);
  return found ? std::string() : text_to_show(text);
}

std::string_view Back::awaited() const {
  switch (state_) {
    case State::Greeting: return "its greeting";
    case State::Hello: return "its answer to EHLO";
    case State::StartTls: return "its answer to STARTTLS";
    case State::Xclient: return "its answer to XCLIENT";
    case State::Auth: return "its answer to the login";
  }
  return "the end";
}

}  // namespace postern::smtp
