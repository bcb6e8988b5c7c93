// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/back.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "protocol/line/literal.h"
#include "protocol/line/word.h"
#include "protocol/sasl/exchange.h"

namespace postern::imap {
namespace {

using protocol::BackEvent;
using protocol::BackFailure;
using protocol::BackTlsPlan;
using protocol::Failed;
using protocol::LoggedIn;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::Refusal;
using protocol::RefusalCause;
using protocol::Refused;
using protocol::Send;
using protocol::TlsAgreed;

// A quoted string longer than this could make a line that a mail server does not take; a literal is always taken.
constexpr size_t quoted_size_max = 1024;
// RFC 7888, section 5: the most that LITERAL- lets us send unasked.
constexpr size_t literal_minus_size_max = 4096;
// Of all alerts of one login. A user reads one or two.
constexpr size_t alerts_size_max = 2048;
constexpr size_t text_size_max = 512;

bool is_quotable_char(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_quotable(std::string_view text) {
  return text.size() <= quoted_size_max && std::all_of(text.begin(), text.end(), is_quotable_char);
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

}  // namespace

Back::Back(protocol::BackLogin login, protocol::BackIdentity identity, BackTlsPlan tls)
    : login_(std::move(login)), identity_(std::move(identity)), tls_(tls) {
  // A master who logs in as himself is no master.
  if (login_.master == login_.user) login_.master.clear();
}

void Back::feed(std::string_view plaintext) {
  if (state_ != State::Over) reader_.feed(plaintext);
}

BackEvent Back::next() {
  for (;;) {
    Event event;
    switch (state_) {
      case State::LoggedIn:
      case State::Over: return NeedBytes{};
      case State::Tls:
        if (reader_.unread_size() == 0) return NeedBytes{};
        return fail(BackFailure::NoTls, "bytes came in clear where the TLS handshake should begin");
      case State::Secured: return log_in();
      case State::Greeting:
      case State::StartTls:
      case State::Capability:
      case State::Login: event = literal_left_ != 0 ? skip_literal() : next_line();
    }
    if (event) return *std::move(event);
  }
}

void Back::tls_started() {
  CHECK(state_ == State::Tls);
  state_ = State::Secured;
  // What was said in clear may have been anybody's words (RFC 9051, section 6.2.1).
  capabilities_.reset();
  alerts_.clear();
}

Failed Back::closed() const {
  return {BackFailure::Closed, "the mail server closed the connection before " + std::string(awaited())};
}

std::string Back::take_unread() {
  return reader_.take_unread();
}

// --- Framing.

Back::Event Back::next_line() {
  switch (reader_.next_line(line_size_max)) {
    case line::Step::NeedBytes: return NeedBytes{};
    case line::Step::Whole: break;
    case line::Step::TooLong:
    case line::Step::Swallowed:
    case line::Step::LiteralWaits:
    case line::Step::LiteralTooBig: return fail(BackFailure::TooMuch, "a line is longer than a login can need");
  }
  size_ += reader_.frame().size();
  if (size_ > login_size_max || ++lines_ > login_lines_max) {
    return fail(BackFailure::TooMuch, "there is more to read than a login can need");
  }
  Event event = on_line(reader_.frame());
  reader_.drop();
  return event;
}

// Nothing that we need stands in a literal.
Back::Event Back::skip_literal() {
  literal_left_ -= reader_.skip(literal_left_);
  if (literal_left_ != 0) return NeedBytes{};
  return std::nullopt;
}

Back::Event Back::on_line(std::string_view line) {
  const bool rest = std::exchange(inside_response_, false);
  const Response response = rest ? Response{.kind = ResponseKind::Untagged} : parse_response(line);
  // Text for people may end in something like "{5}"; only data has literals.
  const bool data = response.kind == ResponseKind::Untagged && response.status == Status::None;
  if (const auto mark = data ? line::literal_at_end(line) : std::nullopt) {
    if (mark->size > login_size_max - std::min(size_, login_size_max)) {
      return fail(BackFailure::TooMuch, "a literal is larger than a login can need");
    }
    size_ += mark->size;
    literal_left_ = mark->size;
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
    case State::Tls:
    case State::Secured:
    case State::LoggedIn:
    case State::Over: break;
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
  if (tls_ == BackTlsPlan::None) return log_in();
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
  if (reader_.behind_size() != 0) {
    return fail(BackFailure::NoTls, "bytes came in clear where the TLS handshake should begin");
  }
  state_ = State::Tls;
  return TlsAgreed{};
}

// Decides the way in, as far as it can be decided now.
BackEvent Back::log_in() {
  const bool holds_nul = login_.user.find('\0') != std::string::npos || login_.master.find('\0') != std::string::npos ||
                         login_.password.reveal().find('\0') != std::string_view::npos;
  if (holds_nul) return fail(BackFailure::NoMechanism, "IMAP cannot carry a name or a password with NUL in it");
  if (!capabilities_ && must_know_capabilities()) return ask_capability();

  const bool plain = wants_plain();
  if (plain && capabilities_ && !offers("AUTH=PLAIN") && login_.mechanism != Mechanism::Plain) {
    return fail(BackFailure::NoMechanism, login_.master.empty()
                                              ? "the mail server offers neither LOGIN nor AUTH=PLAIN"
                                              : "the mail server does not offer AUTH=PLAIN, which a master user needs");
  }
  if (!plain && offers("LOGINDISABLED")) {
    return fail(BackFailure::NoMechanism, "the mail server has LOGIN disabled, which its route wants");
  }
  std::string first = id_command();
  tag_ = next_tag();
  plain ? write_plain(first) : write_login(first);
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
  return log_in();
}

Back::Event Back::on_login(const Response& response) {
  switch (response.kind) {
    case ResponseKind::Untagged: note_untagged(response); return std::nullopt;
    case ResponseKind::Continue:
      if (script_sent_ < script_.size()) return send_script();
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
  if (response.status == Status::Ok) return logged_in(response);
  if (response.status == Status::No) return refused(response);
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
  const std::string text = text_to_show(response);
  const std::string line = "* OK [ALERT] " + text + "\r\n";
  if (!text.empty() && alerts_.size() + line.size() <= alerts_size_max) alerts_ += line;
}

BackEvent Back::logged_in(const Response& response) {
  LoggedIn event;
  if (line::same_word(response.code, "CAPABILITY")) capabilities_ = std::string(response.code_arguments);
  note_alert(response);
  event.accepted.capability = passable_capabilities(capabilities_.value_or(std::string()));
  event.accepted.text = text_to_show(response);
  event.accepted.alerts = std::move(alerts_);
  forget_secrets();
  state_ = State::LoggedIn;
  return event;
}

// RFC 5530, section 3. Most mail servers say a bare NO for a wrong password; those that have a code for it tell more in
// their text than a stranger should know, so ours goes out.
BackEvent Back::refused(const Response& response) {
  const auto is = [&response](std::string_view code) { return line::same_word(response.code, code); };
  if (is("PRIVACYREQUIRED")) {
    return fail(BackFailure::NoTls, "the mail server wants TLS for a login; set tls for its pool");
  }
  Refused event{Refusal{RefusalCause::Credentials, {}, {}, alerts_}, true};
  if (is("REFERRAL")) {
    // Its address is for mail programs: they would go round the gate.
    event.refusal.cause = RefusalCause::Unavailable;
    event.definitive = false;
  } else if (!response.code.empty() && !is("AUTHENTICATIONFAILED") && !is("CAPABILITY")) {
    std::string code(response.code);
    if (!response.code_arguments.empty() && !holds_password(response.code_arguments)) {
      code.append(" ").append(response.code_arguments);
    }
    event.refusal.cause = RefusalCause::Passed;
    event.refusal.text = text_to_show(response);
    if (is_passable_code(code)) event.refusal.code = std::move(code);
    event.definitive = !is("UNAVAILABLE") && !is("SERVERBUG");
  }
  forget_secrets();
  state_ = State::Over;
  return event;
}

BackEvent Back::fail(BackFailure failure, std::string detail) {
  forget_secrets();
  state_ = State::Over;
  return Failed{failure, std::move(detail)};
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

bool Back::wants_plain() const {
  if (!login_.master.empty()) return true;
  if (login_.mechanism) return *login_.mechanism == Mechanism::Plain;
  return offers("LOGINDISABLED");
}

bool Back::needs_literals() const {
  return !is_quotable(login_.user) || !is_quotable(login_.password.reveal());
}

bool Back::must_know_capabilities() const {
  return wants_plain() || needs_literals();
}

// authzid: whose mailbox; authcid and password: who vouches for it (RFC 4616, section 2).
Secret Back::plain_message() const {
  if (login_.master.empty()) return sasl::plain_message({}, login_.user, login_.password.reveal());
  return sasl::plain_message(login_.user, login_.master, login_.password.reveal());
}

void Back::write_plain(std::string& first) {
  const Secret message = plain_message();
  std::string response;
  response.reserve(message.size() + 2);
  response.append(message.reveal()).append("\r\n");
  const bool at_once = offers("SASL-IR");
  first.reserve(first.size() + tag_.size() + 32 + response.size());
  first.append(tag_).append(" AUTHENTICATE PLAIN").append(at_once ? std::string_view(" ") : std::string_view("\r\n"));
  if (at_once) first.append(response);
  script_.push_back(Secret::take(first));
  if (!at_once) script_.push_back(Secret(response));
  wipe(response);
}

void Back::write_login(std::string& first) {
  const std::string_view password = login_.password.reveal();
  // Quoting at most doubles; the memory must not move with a password in it.
  first.reserve(first.size() + 2 * (login_.user.size() + password.size()) + 128);
  first.append(tag_).append(" LOGIN ");
  write_argument(first, login_.user);
  first.push_back(' ');
  write_argument(first, password);
  first.append("\r\n");
  script_.push_back(Secret::take(first));
}

// A literal that has to be waited for ends a part of the script. wipe() keeps the string's memory, so it is still large
// enough.
void Back::write_argument(std::string& command, std::string_view argument) {
  if (is_quotable(argument)) return append_quoted(command, argument);
  const bool at_once = offers("LITERAL+") || (offers("LITERAL-") && argument.size() <= literal_minus_size_max);
  command.append("{").append(std::to_string(argument.size())).append(at_once ? "+}\r\n" : "}\r\n");
  if (!at_once) script_.push_back(Secret::take(command));
  command.append(argument);
}

// What Dovecot and its like believe from a trusted network: the mail program's address for logs, limits and penalties.
std::string Back::id_command() {
  if (!identity_.send || (capabilities_ && !offers("ID"))) return {};
  std::string list;
  const auto add = [&list](std::string_view name, std::string_view value) {
    if (value.empty() || !is_quotable(value)) return;
    if (!list.empty()) list.push_back(' ');
    append_quoted(list, name);
    list.push_back(' ');
    append_quoted(list, value);
  };
  add("x-originating-ip", identity_.front_address);
  add("x-originating-port", std::to_string(identity_.front_port));
  add("x-connected-ip", identity_.local_address);
  add("x-connected-port", std::to_string(identity_.local_port));
  add("x-session-id", identity_.session_id);
  id_tag_ = next_tag();
  return id_tag_ + " ID (" + list + ")\r\n";
}

std::string Back::next_tag() {
  return "P" + std::to_string(++tags_);
}

// Controls go first: without them the password could come together.
std::string Back::text_to_show(const Response& response) const {
  std::string text = line::one_line(response.text, line_size_max);
  if (holds_password(text)) return {};
  text.resize(std::min(text.size(), text_size_max));
  return text;
}

// Some mail servers repeat the command in their complaint, in the form in which we sent it. It may be a master's
// password, which the mail program must never see.
bool Back::holds_password(std::string_view text) const {
  const std::string_view password = login_.password.reveal();
  if (password.empty()) return false;
  std::string quoted;
  quoted.reserve(2 * password.size() + 2);
  append_quoted(quoted, password);
  const bool found = text.find(password) != text.npos || text.find(quoted) != text.npos ||
                     text.find(plain_message().reveal()) != text.npos;
  wipe(quoted);
  return found;
}

std::string_view Back::awaited() const {
  switch (state_) {
    case State::Greeting: return "its greeting";
    case State::StartTls: return "its answer to STARTTLS";
    case State::Tls:
    case State::Secured: return "TLS was up";
    case State::Capability: return "its answer to CAPABILITY";
    case State::Login: return "its answer to the login";
    case State::LoggedIn:
    case State::Over: break;
  }
  return "the end";
}

void Back::forget_secrets() {
  login_.password.clear();
  script_.clear();
}

}  // namespace postern::imap
