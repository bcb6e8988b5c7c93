// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/front.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "protocol/imap/command.h"
#include "protocol/imap/response.h"
#include "protocol/line/word.h"

namespace postern::imap {
namespace {

using protocol::Credentials;
using protocol::FrontEvent;
using protocol::Goodbye;
using protocol::GoodbyeReason;
using protocol::Login;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::RefusalCause;
using protocol::Reply;
using protocol::StartTls;

// A literal that is on its way though it is too big is read and thrown away up to here; beyond, we part (RFC 7888,
// section 4, allows both). It keeps a mail program that sent a whole signature by mistake, and costs us no memory.
constexpr size_t swallow_size_max = 65536;

// Text of others that we pass on: longer than any sentence, and no mail program shows more.
constexpr size_t text_size_max = 512;

constexpr std::string_view privacy_required =
    "[PRIVACYREQUIRED] Start TLS first; passwords do not cross this connection in clear";
constexpr std::string_view wrong_credentials = "[AUTHENTICATIONFAILED] Wrong user name or password";

// A web browser or a script that speaks to us as to a web server may carry bytes for us from someone else (RFC 9325,
// section 3.8). Their method is our tag.
bool is_http_method(std::string_view tag) {
  static constexpr std::string_view methods[] = {"GET",   "POST",    "HEAD",  "PUT", "DELETE",
                                                 "PATCH", "OPTIONS", "TRACE", "PRI", "CONNECT"};
  return std::find(std::begin(methods), std::end(methods), tag) != std::end(methods);
}

}  // namespace

// `handler` is null for what only a logged-in user may do.
struct Front::Verb {
  std::string_view name;
  Answer (Front::*handler)(std::string_view arguments);
};

const Front::Verb Front::verbs[] = {
    // Any state.
    {"CAPABILITY", &Front::capability},
    {"NOOP", &Front::noop},
    {"ID", &Front::id},
    {"LOGOUT", &Front::logout},
    // Not authenticated.
    {"STARTTLS", &Front::starttls},
    {"LOGIN", &Front::login},
    {"AUTHENTICATE", &Front::authenticate},
    // Authenticated or selected: RFC 9051 and 3501, then the extensions that mail programs use.
    {"APPEND", nullptr},
    {"CHECK", nullptr},
    {"CLOSE", nullptr},
    {"COPY", nullptr},
    {"CREATE", nullptr},
    {"DELETE", nullptr},
    {"ENABLE", nullptr},
    {"EXAMINE", nullptr},
    {"EXPUNGE", nullptr},
    {"FETCH", nullptr},
    {"IDLE", nullptr},
    {"LIST", nullptr},
    {"LSUB", nullptr},
    {"MOVE", nullptr},
    {"NAMESPACE", nullptr},
    {"RENAME", nullptr},
    {"SEARCH", nullptr},
    {"SELECT", nullptr},
    {"STATUS", nullptr},
    {"STORE", nullptr},
    {"SUBSCRIBE", nullptr},
    {"UID", nullptr},
    {"UNSELECT", nullptr},
    {"UNSUBSCRIBE", nullptr},
    {"COMPRESS", nullptr},
    {"DELETEACL", nullptr},
    {"ESEARCH", nullptr},
    {"GENURLAUTH", nullptr},
    {"GETACL", nullptr},
    {"GETMETADATA", nullptr},
    {"GETQUOTA", nullptr},
    {"GETQUOTAROOT", nullptr},
    {"LISTRIGHTS", nullptr},
    {"MYRIGHTS", nullptr},
    {"NOTIFY", nullptr},
    {"REPLACE", nullptr},
    {"RESETKEY", nullptr},
    {"SETACL", nullptr},
    {"SETMETADATA", nullptr},
    {"SETQUOTA", nullptr},
    {"SORT", nullptr},
    {"THREAD", nullptr},
    {"UNAUTHENTICATE", nullptr},
    {"URLFETCH", nullptr},
    {"XLIST", nullptr},
};

const Front::Verb* Front::find_verb(std::string_view name) {
  const Verb* verb = std::find_if(std::begin(verbs), std::end(verbs),
                                  [name](const Verb& candidate) { return line::same_word(candidate.name, name); });
  return verb == std::end(verbs) ? nullptr : verb;
}

Front::Front(protocol::FrontOptions options) : options_(std::move(options)) {
  options_.hostname = line::one_line(options_.hostname, text_size_max);
}

std::string Front::greeting() const {
  std::string greeting = "* OK [CAPABILITY " + capabilities() + "] ";
  if (!options_.hostname.empty()) greeting.append(options_.hostname).push_back(' ');
  return greeting + "Postern ready\r\n";
}

void Front::feed(std::string_view plaintext) {
  if (state_ == State::Over || state_ == State::Leaving) return;
  reader_.feed(plaintext);
}

FrontEvent Front::next() {
  switch (state_) {
    case State::Command: return next_command();
    case State::Sasl: return next_sasl_line();
    case State::Leaving: return goodbye(bye("Too many refused logins"), GoodbyeReason::LoginAttempts);
    case State::Verifying:
    case State::LoggedIn:
    case State::Over: return NeedBytes{};
  }
  return NeedBytes{};
}

bool Front::wants_bytes() const {
  switch (state_) {
    case State::Command:
    case State::Sasl: return true;
    case State::Verifying: return reader_.unread_size() < protocol::unread_size_max;
    case State::LoggedIn:
    case State::Leaving:
    case State::Over: return false;
  }
  return false;
}

std::string Front::accepted(const protocol::Accepted& accepted) {
  CHECK(state_ == State::Verifying);
  state_ = State::LoggedIn;
  const std::string list = passable_capabilities(accepted.capability);
  std::string text = line::one_line(accepted.text, text_size_max);
  // Without a code of ours in front, "[" would make a code of it.
  if (text.empty() || text.starts_with('[')) text = "Logged in";
  if (list.empty()) return accepted.alerts + tagged("OK ", text);
  if (asked_capability_) return accepted.alerts + "* CAPABILITY " + list + "\r\n" + tagged("OK ", text);
  return accepted.alerts + tagged("OK ", "[CAPABILITY " + list + "] " + text);
}

std::string Front::rejected(const protocol::Refusal& refusal) {
  CHECK(state_ == State::Verifying);
  state_ = ++attempts_ < options_.login_attempts ? State::Command : State::Leaving;
  return refusal.alerts + tagged("NO ", refusal_text(refusal));
}

std::string Front::take_unread() {
  return reader_.take_unread();
}

std::string Front::bye(std::string_view text) const {
  return "* BYE " + line::one_line(text, text_size_max) + "\r\n";
}

// --- Commands, in the order in which a mail program may say them.

FrontEvent Front::next_command() {
  for (;;) {
    Answer answer;
    switch (reader_.next_command(limits())) {
      case line::Step::NeedBytes: return NeedBytes{};
      case line::Step::TooLong: return too_long();
      case line::Step::Swallowed: return Reply{std::exchange(swallowed_, {})};
      case line::Step::LiteralWaits: return on_waiting_literal();
      case line::Step::LiteralTooBig: answer = on_big_literal(); break;
      case line::Step::Whole:
        answer = understand(reader_.frame());
        // Nothing can be missing from a whole command; if a handler thinks so, its grammar and the framing disagree.
        if (!answer) answer = bad_tagged("Syntax error");
        reader_.drop();
        break;
    }
    if (answer) return *std::move(answer);
  }
}

// The mail program waits for our "+" and sends nothing until then, so a refusal ends the command on the spot.
FrontEvent Front::on_waiting_literal() {
  Answer answer = understand(reader_.frame());
  if (!answer && !reader_.literal_fits(limits())) answer = bad_tagged("[TOOBIG] Literal is too large");
  if (answer) {
    reader_.drop();
    return *std::move(answer);
  }
  reader_.accept_literal();
  return Reply{"+ Go on\r\n"};
}

// The octets are on their way. They must be read as the literal that they are, and the answer comes after them.
Front::Answer Front::on_big_literal() {
  Answer answer = understand(reader_.frame());
  if (!answer) answer = bad_tagged("[TOOBIG] Literal is too large");
  Reply* reply = std::get_if<Reply>(&*answer);
  if (reply == nullptr) return answer;
  swallowed_ = std::move(reply->bytes);
  reader_.swallow();
  return std::nullopt;
}

Front::Answer Front::understand(std::string_view command) {
  std::string_view rest = command;
  const std::string_view tag = line::take_word(rest);
  if (!is_tag(tag)) return bad("* BAD That is no tag\r\n");
  tag_ = tag;
  const std::string_view name = line::take_word(rest);
  const Verb* verb = find_verb(name);
  if (verb == nullptr) {
    if (is_http_method(tag)) return goodbye({}, GoodbyeReason::NotThisProtocol);
    return bad_tagged(name.empty() ? "A command is missing" : "Unknown command");
  }
  // Right words at the wrong time are no attack, and some mail programs poll with CHECK: not counted.
  if (verb->handler == nullptr) return Reply{tagged("BAD ", "Log in first")};
  return (this->*verb->handler)(rest);
}

Front::Answer Front::capability(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("CAPABILITY takes no argument");
  asked_capability_ = true;
  return Reply{"* CAPABILITY " + capabilities() + "\r\n" + tagged("OK ", "That is all before login")};
}

Front::Answer Front::noop(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("NOOP takes no argument");
  return Reply{tagged("OK ", "Nothing done")};
}

// What the mail program says of itself is neither believed nor passed on: it could name any address as its own.
Front::Answer Front::id(std::string_view arguments) {
  switch (parse_id(arguments)) {
    case Parsed::WantsLiteral: return std::nullopt;
    case Parsed::No: return bad_tagged("ID takes NIL or a list of pairs");
    case Parsed::Yes: break;
  }
  return Reply{"* ID (\"name\" \"Postern\")\r\n" + tagged("OK ", "Pleased to meet you")};
}

Front::Answer Front::logout(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("LOGOUT takes no argument");
  return goodbye(bye("Until next time") + tagged("OK ", "Logged out"), GoodbyeReason::Logout);
}

// RFC 9051, section 6.2.1. What was sent in clear behind the command came from who knows whom: it never counts.
Front::Answer Front::starttls(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("STARTTLS takes no argument");
  if (options_.tls_active) return bad_tagged("TLS is active already");
  if (!options_.starttls_offered) return bad_tagged("STARTTLS is not offered here");
  state_ = State::Over;
  const size_t dropped = reader_.behind_size();
  reader_.clear();
  return StartTls{tagged("OK ", "Begin the TLS handshake"), dropped};
}

// RFC 9051, section 6.2.3.
Front::Answer Front::login(std::string_view arguments) {
  // First of all, so that no literal is asked for that would cross in clear.
  if (!options_.login_allowed) return refuse(privacy_required);
  LoginArguments parsed;
  switch (parse_login(arguments, parsed)) {
    case Parsed::WantsLiteral: return std::nullopt;
    case Parsed::No: return bad_tagged("LOGIN takes a user name and a password");
    case Parsed::Yes: break;
  }
  if (parsed.user.empty() || parsed.password.empty()) return refuse(wrong_credentials);
  return log_in(Credentials{Mechanism::Login, parsed.user.text(), {}, parsed.password.secret()});
}

// RFC 9051, section 6.2.2, and RFC 4959.
Front::Answer Front::authenticate(std::string_view arguments) {
  if (!options_.login_allowed) return refuse(privacy_required);
  const std::string_view mechanism = line::take_word(arguments);
  if (mechanism.empty()) return bad_tagged("AUTHENTICATE takes a mechanism");
  exchange_ = sasl::Exchange::of(mechanism);
  if (!exchange_) return Reply{tagged("NO ", "That mechanism is not offered")};
  return on_sasl(exchange_->begin(arguments.empty() ? std::nullopt : std::optional(arguments)));
}

FrontEvent Front::next_sasl_line() {
  switch (reader_.next_line(sasl::line_size_max)) {
    case line::Step::Whole: {
      FrontEvent event = on_sasl(exchange_->answer(reader_.frame()));
      reader_.drop();
      return event;
    }
    case line::Step::NeedBytes: return NeedBytes{};
    // The steps of a literal do not happen to a line.
    case line::Step::TooLong:
    case line::Step::Swallowed:
    case line::Step::LiteralWaits:
    case line::Step::LiteralTooBig: break;
  }
  return too_long();
}

FrontEvent Front::on_sasl(sasl::Step step) {
  if (const auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    state_ = State::Sasl;
    std::string line = "+ ";
    line.append(challenge->base64);
    return Reply{line + "\r\n"};
  }
  state_ = State::Command;
  exchange_.reset();
  if (auto* credentials = std::get_if<Credentials>(&step)) return log_in(std::move(*credentials));
  switch (std::get<sasl::Failure>(step)) {
    case sasl::Failure::BadBase64: return bad_tagged("That is not base64");
    case sasl::Failure::Cancelled: return Reply{tagged("BAD ", "Authentication cancelled")};
    case sasl::Failure::Malformed: return bad_tagged("That is not what the mechanism says");
    case sasl::Failure::Empty: break;
  }
  return refuse(wrong_credentials);
}

FrontEvent Front::log_in(Credentials credentials) {
  state_ = State::Verifying;
  return Login{std::move(credentials)};
}

// --- How we say it.

FrontEvent Front::refuse(std::string_view answer) {
  std::string reply = tagged("NO ", answer);
  if (++attempts_ < options_.login_attempts) return Reply{std::move(reply)};
  return goodbye(reply + bye("Too many refused logins"), GoodbyeReason::LoginAttempts);
}

FrontEvent Front::bad(std::string reply) {
  if (++bad_commands_ < options_.bad_commands) return Reply{std::move(reply)};
  return goodbye(reply + bye("Too many bad commands"), GoodbyeReason::BadCommands);
}

FrontEvent Front::goodbye(std::string text, GoodbyeReason reason) {
  state_ = State::Over;
  reader_.clear();
  return Goodbye{std::move(text), reason};
}

FrontEvent Front::too_long() {
  return goodbye(bye("[TOOBIG] That is too long"), GoodbyeReason::TooLong);
}

// Only what is true before login. Which IMAP it is after login, the mail server says then.
std::string Front::capabilities() const {
  std::string list = "IMAP4rev1 SASL-IR LITERAL- ID";
  if (!options_.tls_active && options_.starttls_offered) list += " STARTTLS";
  list += options_.login_allowed ? " AUTH=PLAIN AUTH=LOGIN" : " LOGINDISABLED";
  return list;
}

std::string Front::tagged(std::string_view status, std::string_view text) const {
  std::string line;
  line.reserve(tag_.size() + status.size() + text.size() + 3);
  line.append(tag_).append(" ").append(status).append(text).append("\r\n");
  return line;
}

// RFC 5530, section 3.
std::string Front::refusal_text(const protocol::Refusal& refusal) const {
  const std::string text = line::one_line(refusal.text, text_size_max);
  const auto say = [&text](std::string_view code, std::string_view sentence) {
    return std::string(code).append(text.empty() ? sentence : std::string_view(text));
  };
  switch (refusal.cause) {
    case RefusalCause::Credentials: return say("[AUTHENTICATIONFAILED] ", "Wrong user name or password");
    case RefusalCause::Unavailable:
      return say("[UNAVAILABLE] ", "Your login cannot be served right now; please try again later");
    case RefusalCause::NotAllowed: return say("[AUTHORIZATIONFAILED] ", "You may not log in here");
    case RefusalCause::Limit: return say("[LIMIT] ", "Too many sessions of this user");
    case RefusalCause::Passed: break;
  }
  if (is_passable_code(refusal.code)) return say("[" + refusal.code + "] ", "The mail server refuses this login");
  if (text.starts_with('[')) return "The mail server refuses this login";
  return say("", "The mail server refuses this login");
}

line::CommandLimits Front::limits() const {
  return {options_.line_size, options_.literal_size, size_t{options_.literal_size} * 2, swallow_size_max};
}

}  // namespace postern::imap
