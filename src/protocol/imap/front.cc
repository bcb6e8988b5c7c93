// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/imap/front.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/imap/command.h"
#include "protocol/imap/response.h"
#include "protocol/line/word.h"

namespace postern::imap {
namespace {

using protocol::Credentials;
using protocol::FrontEvent;
using protocol::Goodbye;
using protocol::GoodbyeReason;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::RefusalCause;
using protocol::Reply;
using protocol::text_size_max;

// A literal that is on its way though it is too big is read and thrown away up to here; beyond, we part (RFC 7888,
// section 4, allows both). It keeps a mail program that sent a whole signature by mistake, and costs us no memory.
constexpr size_t swallow_size_max = 65536;

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

std::string Front::greeting() {
  // After STARTTLS no greeting comes again (RFC 9051, section 6.2.1).
  if (options().after_starttls) return {};
  std::string greeting = "* OK [CAPABILITY " + capabilities() + "] ";
  if (!options().hostname.empty()) greeting.append(line::one_line(options().hostname, text_size_max)).push_back(' ');
  return greeting + "Postern ready\r\n";
}

std::string Front::challenge(std::string_view base64) const {
  return std::string("+ ").append(base64).append("\r\n");
}

std::string Front::say_accepted(const protocol::Accepted& accepted) {
  const std::string list = passable_capabilities(accepted.capability);
  std::string text = line::one_line(accepted.text, text_size_max);
  // Without a code of ours in front, "[" would make a code of it.
  if (text.empty() || text.starts_with('[')) text = "Logged in";
  if (list.empty()) return accepted.alerts + tagged("OK ", text);
  if (asked_capability_) return accepted.alerts + "* CAPABILITY " + list + "\r\n" + tagged("OK ", text);
  return accepted.alerts + tagged("OK ", "[CAPABILITY " + list + "] " + text);
}

// RFC 5530, section 3.
std::string Front::say_refused(const protocol::Refusal& refusal) {
  const std::string text = line::one_line(refusal.text, text_size_max);
  const auto say = [&](std::string_view code) {
    const std::string_view sentence = text.empty() ? protocol::refusal_sentence(refusal.cause) : std::string_view(text);
    return refusal.alerts + tagged("NO ", std::string(code).append(sentence));
  };
  switch (refusal.cause) {
    case RefusalCause::Credentials: return say("[AUTHENTICATIONFAILED] ");
    case RefusalCause::Unavailable: return say("[UNAVAILABLE] ");
    case RefusalCause::NotAllowed: return say("[AUTHORIZATIONFAILED] ");
    case RefusalCause::Limit: return say("[LIMIT] ");
    case RefusalCause::Passed: break;
  }
  if (is_passable_code(refusal.code)) return say("[" + refusal.code + "] ");
  // Without a code of ours in front, "[" would make a code of it.
  if (text.starts_with('[')) return refusal.alerts + tagged("NO ", protocol::refusal_sentence(refusal.cause));
  return say("");
}

std::string Front::say_failed(sasl::Failure failure) {
  switch (failure) {
    case sasl::Failure::BadBase64: return tagged("BAD ", "That is not base64");
    case sasl::Failure::Cancelled: return tagged("BAD ", "Authentication cancelled");
    case sasl::Failure::Malformed:
    case sasl::Failure::Empty: break;
  }
  return tagged("BAD ", "That is not what the mechanism says");
}

std::string Front::bye(std::string_view text) const {
  return "* BYE " + line::one_line(text, text_size_max) + "\r\n";
}

// --- Commands, in the order in which a mail program may say them.

FrontEvent Front::next_command() {
  for (;;) {
    Answer answer;
    switch (reader().next_command(limits())) {
      case line::Step::NeedBytes: return NeedBytes{};
      case line::Step::TooLong: return too_long();
      case line::Step::Swallowed: return Reply{std::exchange(swallowed_, {})};
      case line::Step::LiteralWaits: return on_waiting_literal();
      case line::Step::LiteralTooBig: answer = on_big_literal(); break;
      case line::Step::Whole:
        answer = understand(reader().frame());
        // Nothing can be missing from a whole command; if a handler thinks so, its grammar and the framing disagree.
        if (!answer) answer = bad_tagged("Syntax error");
        reader().drop();
        break;
    }
    if (answer) return *std::move(answer);
  }
}

// The mail program waits for our "+" and sends nothing until then, so a refusal ends the command on the spot.
FrontEvent Front::on_waiting_literal() {
  Answer answer = understand(reader().frame());
  if (!answer && !reader().literal_fits(limits())) answer = bad_tagged("[TOOBIG] Literal is too large");
  if (answer) {
    reader().drop();
    return *std::move(answer);
  }
  reader().accept_literal();
  return Reply{"+ Go on\r\n"};
}

// The octets are on their way. They must be read as the literal that they are, and the answer comes after them.
Front::Answer Front::on_big_literal() {
  Answer answer = understand(reader().frame());
  if (!answer) answer = bad_tagged("[TOOBIG] Literal is too large");
  Reply* reply = std::get_if<Reply>(&*answer);
  if (reply == nullptr) return answer;
  swallowed_ = std::move(reply->bytes);
  reader().swallow();
  return std::nullopt;
}

Front::Answer Front::understand(std::string_view command) {
  std::string_view rest = command;
  const std::string_view tag = line::take_word(rest);
  if (!is_tag(tag)) return bad("* BAD That is no tag\r\n");
  tag_ = tag;
  const std::string_view name = line::take_word(rest);
  const Verb* verb = line::find_verb(verbs, name);
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

// What a mail program says of itself is neither believed nor passed on: it could name any address as its own. A webmail
// host of ours speaks for its users.
Front::Answer Front::id(std::string_view arguments) {
  std::vector<IdPair> pairs;
  switch (parse_id(arguments, pairs)) {
    case Parsed::WantsLiteral: return std::nullopt;
    case Parsed::No: return bad_tagged("ID takes NIL or a list of pairs");
    case Parsed::Yes: break;
  }
  for (const IdPair& pair : pairs)
    note_id(pair.name.text(), pair.value.text());
  return Reply{"* ID (\"name\" \"Postern\")\r\n" + tagged("OK ", "Pleased to meet you")};
}

void Front::note_id(std::string_view name, std::string_view value) {
  const std::optional<uint16_t> number = line::parse_number<uint16_t>(value);
  if (line::same_word(name, "x-proxy-ttl") && number) note_hops(*number);
  if (!options().may_name_address) return;
  if (line::same_word(name, "x-originating-ip")) said().address = value;
  if (line::same_word(name, "x-originating-port") && number) said().port = *number;
  if (line::same_word(name, "x-session-id")) note_session(value);
}

Front::Answer Front::logout(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("LOGOUT takes no argument");
  return goodbye(bye("Until next time") + tagged("OK ", "Logged out"), GoodbyeReason::Logout);
}

// RFC 9051, section 6.2.1.
Front::Answer Front::starttls(std::string_view arguments) {
  if (parse_nothing(arguments) != Parsed::Yes) return bad_tagged("STARTTLS takes no argument");
  if (options().tls_active) return bad_tagged("TLS is active already");
  if (!options().starttls_offered) return bad_tagged("STARTTLS is not offered here");
  return start_tls(tagged("OK ", "Begin the TLS handshake"));
}

// RFC 9051, section 6.2.3.
Front::Answer Front::login(std::string_view arguments) {
  // First of all, so that no literal is asked for that would cross in clear.
  if (!options().login_allowed) return refuse(privacy_required());
  if (!offers(Mechanism::Login)) return Reply{tagged("NO ", "LOGIN is disabled here; use AUTHENTICATE")};
  LoginArguments parsed;
  switch (parse_login(arguments, parsed)) {
    case Parsed::WantsLiteral: return std::nullopt;
    case Parsed::No: return bad_tagged("LOGIN takes a user name and a password");
    case Parsed::Yes: break;
  }
  return log_in(Credentials{Mechanism::Login, parsed.user.text(), {}, parsed.password.secret()});
}

// RFC 9051, section 6.2.2, and RFC 4959.
Front::Answer Front::authenticate(std::string_view arguments) {
  if (!options().login_allowed) return refuse(privacy_required());
  const std::string_view mechanism = line::take_word(arguments);
  if (mechanism.empty()) return bad_tagged("AUTHENTICATE takes a mechanism");
  Answer event = protocol::Front::authenticate(mechanism, arguments.empty() ? std::nullopt : std::optional(arguments));
  if (!event) return Reply{tagged("NO ", "That mechanism is not offered")};
  return event;
}

// --- How we say it.

// What is true before login, and what the mail servers all say that they can do after it. Of the latter some words speak
// of a login that is the gate's business: it says its own.
std::string Front::capabilities() const {
  std::string list = "IMAP4rev1 SASL-IR LITERAL- ID";
  if (offers_starttls()) list += " STARTTLS";
  if (!offers(Mechanism::Login)) list += " LOGINDISABLED";
  list += offered_mechanisms(" AUTH=");
  std::string_view learned = options().learned;
  while (!learned.empty()) {
    const std::string_view word = line::take_line(learned);
    if (is_front_capability(word)) list.append(" ").append(word);
  }
  return list;
}

std::string Front::privacy_required() const {
  return tagged("NO ", std::string("[PRIVACYREQUIRED] ").append(protocol::privacy_sentence));
}

std::string Front::tagged(std::string_view status, std::string_view text) const {
  std::string line;
  line.reserve(tag_.size() + status.size() + text.size() + 3);
  line.append(tag_).append(" ").append(status).append(text).append("\r\n");
  return line;
}

line::CommandLimits Front::limits() const {
  return {options().line_size, options().literal_size, size_t{options().literal_size} * 2, swallow_size_max};
}

}  // namespace postern::imap
