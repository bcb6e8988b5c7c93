// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/back.h"

#include <algorithm>
#include <utility>

#include "protocol/line/literal.h"
#include "protocol/line/string.h"
#include "protocol/line/word.h"
#include "protocol/sasl/message.h"

namespace postern::imap {
namespace {

using protocol::BackEvent;
using protocol::BackFailure;
using protocol::Mechanism;
using protocol::Refusal;
using protocol::RefusalCause;
using protocol::Send;

// A quoted string longer than this could make a line that a mail server does not take; a literal is always taken.
constexpr size_t quoted_size_max = 1024;
// RFC 7888, section 5: the most that LITERAL- lets us send unasked.
constexpr size_t literal_minus_size_max = 4096;
// Of all alerts of one login. A user reads one or two.
constexpr size_t alerts_size_max = 2048;

bool is_quotable_char(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_quotable(std::string_view text) {
  return text.size() <= quoted_size_max && std::all_of(text.begin(), text.end(), is_quotable_char);
}

}  // namespace

Back::Event Back::on_line(std::string_view line) {
  const bool rest = std::exchange(inside_response_, false);
  const Response response = rest ? Response{.kind = ResponseKind::Untagged} : parse_response(line);
  // Text for people may end in something like "{5}"; only data has literals.
  const bool data = response.kind == ResponseKind::Untagged && response.status == Status::None;
  if (const auto mark = data ? line::literal_at_end(line) : std::nullopt) {
    if (!skip(mark->size)) return fail(BackFailure::TooMuch, "a literal is larger than a login can need");
    inside_response_ = true;
    return std::nullopt;
  }
  if (rest) return std::nullopt;
  if (response.status == Status::Bye) {
    return fail(BackFailure::Bye, "the mail server said BYE before " + std::string(awaited()));
  }
  switch (state_) {
    case State::Greeting: return on_greeting(response);
    case State::StartTls: return on_starttls(response);
    case State::Capability: return on_capability(response);
    case State::Login: return on_login(response);
  }
  return std::nullopt;
}

// --- The conversation, in its order.

Back::Event Back::on_greeting(const Response& response) {
  if (response.kind != ResponseKind::Untagged) return fail(BackFailure::Garbage, "the greeting is not IMAP's");
  if (response.status == Status::Preauth) {
    return fail(BackFailure::Preauth,
                "the mail server greets with PREAUTH: it takes us for a user without any password");
  }
  if (response.status != Status::Ok) return fail(BackFailure::Garbage, "the greeting is not IMAP's");
  note_untagged(response);
  return begin();
}

BackEvent Back::begin() {
  if (!wants_starttls()) return log_in();
  if (capabilities_ && !offers("STARTTLS")) {
    return fail(BackFailure::NoTls, "the mail server does not offer STARTTLS, which its pool wants");
  }
  state_ = State::StartTls;
  return send_line("STARTTLS");
}

Back::Event Back::on_starttls(const Response& response) {
  if (response.kind == ResponseKind::Untagged) return std::nullopt;
  if (response.kind != ResponseKind::Tagged || response.tag != tag_) {
    return fail(BackFailure::Garbage, "the answer to STARTTLS is not IMAP's");
  }
  if (response.status != Status::Ok) {
    return fail(BackFailure::NoTls, "the mail server refuses STARTTLS, which its pool wants");
  }
  return tls_agreed();
}

BackEvent Back::secured() {
  // What was said in clear may have been anybody's words (RFC 9051, section 6.2.1).
  capabilities_.reset();
  alerts_.clear();
  return log_in();
}

// Decides the way in, as far as it can be decided now.
BackEvent Back::log_in() {
  if (login_holds({"\0", 1})) {
    return fail(BackFailure::NoMechanism, "IMAP cannot carry a name or a password with NUL in it");
  }
  if (login().probe || (!capabilities_ && must_know_capabilities())) return ask_capability();

  const Mechanism mechanism = way_in();
  const std::string offer = "AUTH=" + std::string(protocol::mechanism_word(mechanism));
  if (mechanism == Mechanism::Login) {
    if (offers("LOGINDISABLED")) {
      return fail(BackFailure::NoMechanism, "the mail server has LOGIN disabled, which its route wants");
    }
  } else if (capabilities_ && !offers(offer) && login().mechanism != mechanism) {
    return fail(BackFailure::NoMechanism, login().master.empty()
                                              ? "the mail server offers neither LOGIN nor AUTH=PLAIN"
                                              : "the mail server does not offer AUTH=PLAIN, which a master user needs");
  }
  std::string first = id_command();
  tag_ = next_tag();
  mechanism == Mechanism::Login ? write_login(first) : write_authenticate(mechanism, first);
  // From here on the list means something else: what the mail server can do for this user.
  capabilities_.reset();
  state_ = State::Login;
  return send_script();
}

BackEvent Back::ask_capability() {
  state_ = State::Capability;
  return send_line("CAPABILITY");
}

Back::Event Back::on_capability(const Response& response) {
  if (response.kind == ResponseKind::Untagged) {
    note_untagged(response);
    return std::nullopt;
  }
  if (response.kind != ResponseKind::Tagged || response.tag != tag_) {
    return fail(BackFailure::Garbage, "the answer to CAPABILITY is not IMAP's");
  }
  // A mail server that does not know the command can do nothing beyond the bare protocol.
  if (!capabilities_) capabilities_.emplace();
  if (!login().probe) return log_in();
  std::replace(capabilities_->begin(), capabilities_->end(), ' ', '\n');
  return learned(*std::move(capabilities_), "P0 LOGOUT\r\n");
}

Back::Event Back::on_login(const Response& response) {
  switch (response.kind) {
    case ResponseKind::Untagged: note_untagged(response); return std::nullopt;
    case ResponseKind::Continue:
      if (script_sent_ < script_.size()) return send_script();
      // Why the token is not taken (RFC 7628, section 3.2.3): it wants an answer before it refuses.
      if (protocol::is_token(way_in()) && !std::exchange(token_answered_, true)) {
        return send(std::string(sasl::token_refusal_answer(way_in())) + "\r\n");
      }
      return fail(BackFailure::Garbage, "the mail server asks to go on where nothing is left to say");
    case ResponseKind::Garbage: return fail(BackFailure::Garbage, "the answer to the login is not IMAP's");
    case ResponseKind::Tagged: break;
  }
  // ID is a courtesy: whatever the mail server thinks of it, the login goes on.
  if (!id_tag_.empty() && response.tag == id_tag_) {
    id_tag_.clear();
    return std::nullopt;
  }
  // The answer to ID would reach the mail program if it came after the login's.
  if (response.tag != tag_ || !id_tag_.empty()) return fail(BackFailure::Garbage, "an answer is not to our command");
  if (response.status == Status::Ok) return welcomed(response);
  if (response.status == Status::No) return turned_down(response);
  return fail(BackFailure::Bad, "the mail server does not understand the login");
}

void Back::note_untagged(const Response& response) {
  if (response.status == Status::None && line::same_word(response.word, "CAPABILITY")) {
    capabilities_ = std::string(response.text);
  } else if (response.status == Status::Ok && line::same_word(response.code, "CAPABILITY")) {
    capabilities_ = std::string(response.code_arguments);
  }
  note_alert(response);
}

// RFC 9051, section 7.1: the text of an ALERT must be shown to the user, so it has to reach the mail program.
void Back::note_alert(const Response& response) {
  if (!line::same_word(response.code, "ALERT")) return;
  const std::string text = text_to_show(response.text);
  const std::string line = "* OK [ALERT] " + text + "\r\n";
  if (!text.empty() && alerts_.size() + line.size() <= alerts_size_max) alerts_ += line;
}

BackEvent Back::welcomed(const Response& response) {
  if (line::same_word(response.code, "CAPABILITY")) capabilities_ = std::string(response.code_arguments);
  note_alert(response);
  return logged_in(
      {passable_capabilities(capabilities_.value_or(std::string())), text_to_show(response.text), std::move(alerts_)});
}

// RFC 5530, section 3. Most mail servers say a bare NO for a wrong password; those that have a code for it tell more in
// their text than a stranger should know, so ours goes out.
BackEvent Back::turned_down(const Response& response) {
  const auto is = [&response](std::string_view code) { return line::same_word(response.code, code); };
  if (is("PRIVACYREQUIRED")) {
    return fail(BackFailure::NoTls, "the mail server wants TLS for a login; set tls for its pool");
  }
  Refusal refusal{RefusalCause::Credentials, {}, {}, alerts_};
  bool definitive = true;
  if (is("REFERRAL")) {
    // Its text is for people. Its address is for mail programs, which would go round the gate.
    refusal.cause = RefusalCause::Unavailable;
    refusal.text = text_to_show(response.text);
    definitive = false;
  } else if (!response.code.empty() && !is("AUTHENTICATIONFAILED") && !is("CAPABILITY")) {
    std::string code(response.code);
    if (!response.code_arguments.empty() && !holds_password(response.code_arguments)) {
      code.append(" ").append(response.code_arguments);
    }
    refusal.cause = RefusalCause::Passed;
    refusal.text = text_to_show(response.text);
    if (is_passable_code(code)) refusal.code = std::move(code);
    definitive = !is("UNAVAILABLE") && !is("SERVERBUG");
  }
  return refused(std::move(refusal), definitive);
}

// --- What we say.

BackEvent Back::send_script() {
  return Send{std::move(script_[script_sent_++])};
}

BackEvent Back::send_line(std::string_view command) {
  tag_ = next_tag();
  return Send{Secret(tag_ + " " + std::string(command) + "\r\n")};
}

bool Back::offers(std::string_view capability) const {
  return capabilities_ && has_capability(*capabilities_, capability);
}

Mechanism Back::way_in() const {
  if (!login().master.empty()) return Mechanism::Plain;
  if (login().mechanism) return *login().mechanism;
  return offers("LOGINDISABLED") ? Mechanism::Plain : Mechanism::Login;
}

bool Back::must_know_capabilities() const {
  return way_in() != Mechanism::Login || !is_quotable(login().user) || !is_quotable(login().password.reveal());
}

// authzid: whose mailbox; authcid and password: who vouches for it (RFC 4616, section 2).
void Back::write_authenticate(Mechanism mechanism, std::string& first) {
  const Secret message = client_message(mechanism);
  std::string response;
  response.reserve(message.size() + 2);
  response.append(message.reveal()).append("\r\n");
  const bool at_once = offers("SASL-IR");
  first.reserve(first.size() + tag_.size() + 64 + response.size());
  first.append(tag_).append(" AUTHENTICATE ").append(protocol::mechanism_word(mechanism));
  first.append(at_once ? std::string_view(" ") : std::string_view("\r\n"));
  if (at_once) first.append(response);
  script_.push_back(Secret::take(first));
  // "=" is for an initial response that is empty (RFC 4959); a line by itself may just be empty.
  if (!at_once) script_.push_back(Secret(message.reveal() == "=" ? std::string_view("\r\n") : response));
  wipe(response);
}

void Back::write_login(std::string& first) {
  const std::string_view password = login().password.reveal();
  // Quoting at most doubles; the memory must not move with a password in it.
  first.reserve(first.size() + 2 * (login().user.size() + password.size()) + 128);
  first.append(tag_).append(" LOGIN ");
  write_argument(first, login().user);
  first.push_back(' ');
  write_argument(first, password);
  first.append("\r\n");
  script_.push_back(Secret::take(first));
}

// A literal that has to be waited for ends a part of the script. wipe() keeps the string's memory, so it is still large
// enough.
void Back::write_argument(std::string& command, std::string_view argument) {
  if (is_quotable(argument)) return line::append_quoted(command, argument);
  const bool at_once = offers("LITERAL+") || (offers("LITERAL-") && argument.size() <= literal_minus_size_max);
  command.append("{").append(std::to_string(argument.size())).append(at_once ? "+}\r\n" : "}\r\n");
  if (!at_once) script_.push_back(Secret::take(command));
  command.append(argument);
}

// What Dovecot and its like believe from a trusted network: the mail program's address for logs, limits and penalties.
std::string Back::id_command() {
  if (!identity().send || (capabilities_ && !offers("ID"))) return {};
  std::string list;
  const auto add = [&list](std::string_view name, std::string_view value) {
    if (value.empty() || !is_quotable(value)) return;
    if (!list.empty()) list.push_back(' ');
    line::append_quoted(list, name);
    list.push_back(' ');
    line::append_quoted(list, value);
  };
  add("x-originating-ip", identity().front_address);
  add("x-originating-port", std::to_string(identity().front_port));
  add("x-connected-ip", identity().local_address);
  add("x-connected-port", std::to_string(identity().local_port));
  add("x-session-id", identity().session_id);
  add("x-proxy-ttl", std::to_string(identity().hops_left));
  id_tag_ = next_tag();
  return id_tag_ + " ID (" + list + ")\r\n";
}

std::string Back::next_tag() {
  return "P" + std::to_string(++tags_);
}

std::string_view Back::awaited() const {
  switch (state_) {
    case State::Greeting: return "its greeting";
    case State::StartTls: return "its answer to STARTTLS";
    case State::Capability: return "its answer to CAPABILITY";
    case State::Login: return "its answer to the login";
  }
  return "the end";
}

}  // namespace postern::imap
