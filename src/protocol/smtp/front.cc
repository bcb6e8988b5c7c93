// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/front.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "protocol/line/word.h"
#include "protocol/smtp/command.h"
#include "protocol/smtp/reply.h"
#include "protocol/smtp/xtext.h"

namespace postern::smtp {
namespace {

using protocol::FrontEvent;
using protocol::GoodbyeReason;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::RefusalCause;
using protocol::Reply;
using protocol::text_size_max;

// A chunk before login is read and thrown away up to here; beyond, we part. It is one or two chunks of a mail program
// that forgot to log in, and costs us no memory.
constexpr uint32_t swallow_size_max = 65536;

// The longest IPv6 address with its zone, and some air.
constexpr size_t address_size_max = 64;

}  // namespace

// `in_clear`: also before TLS where TLS is wanted; all else gets 530 there (RFC 3207, section 4).
struct Front::Verb {
  std::string_view name;
  FrontEvent (Front::*handler)(std::string_view arguments);
  bool in_clear = false;
};

const Front::Verb Front::verbs[] = {
    {"EHLO", &Front::ehlo, true},
    {"HELO", &Front::helo, true},
    {"STARTTLS", &Front::starttls, true},
    {"AUTH", &Front::auth, true},  // has its own answer
    {"NOOP", &Front::noop, true},
    {"QUIT", &Front::quit, true},
    {"XCLIENT", &Front::xclient, true},
    {"BDAT", &Front::bdat, true},  // its octets follow, whatever we say
    {"RSET", &Front::rset},
    {"HELP", &Front::help},
    {"VRFY", &Front::vrfy},
    {"EXPN", &Front::expn},
    // What only a logged-in user may do.
    {"MAIL", &Front::transaction},
    {"RCPT", &Front::transaction},
    {"DATA", &Front::transaction},
    {"BURL", &Front::transaction},
    {"ETRN", &Front::transaction},
};

std::string Front::greeting() {
  // After STARTTLS no greeting comes again: the mail program speaks first (RFC 3207, section 4.2).
  if (options().after_starttls) return {};
  return "220 " + name() + " ESMTP Postern ready\r\n";
}

std::string Front::bye(std::string_view text) const {
  return "421 4.3.2 " + name() + " " + line::one_line(text, text_size_max) + "\r\n";
}

void Front::describe(protocol::BackIdentity& identity) const {
  identity.helo = helo_;
  identity.helo_is_old = helo_is_old_;
}

// RFC 4954, section 4: the blank stands there also when the challenge is empty.
std::string Front::challenge(std::string_view base64) const {
  return std::string("334 ").append(base64).append("\r\n");
}

// Alerts are not for this dialect: a reply of SMTP is the answer to a command, and nothing else can be said.
std::string Front::say_accepted(const protocol::Accepted& accepted) {
  const std::string text = line::one_line(accepted.text, text_size_max);
  return "235 2.7.0 " + (text.empty() ? std::string("Logged in") : text) + "\r\n";
}

// RFC 4954, section 6. 535 makes a mail program ask for another password, so it is only said where that would help.
std::string Front::say_refused(const protocol::Refusal& refusal) {
  const std::string text = line::one_line(refusal.text, text_size_max);
  const std::string_view sentence = text.empty() ? protocol::refusal_sentence(refusal.cause) : std::string_view(text);
  const auto say = [&](std::string_view code) { return std::string(code).append(" ").append(sentence).append("\r\n"); };
  switch (refusal.cause) {
    case RefusalCause::Credentials: return say("535 5.7.8");
    case RefusalCause::Unavailable: return say("454 4.7.0");
    case RefusalCause::NotAllowed: return say("550 5.7.1");
    case RefusalCause::Limit: return say("454 4.7.0");
    case RefusalCause::Passed: break;
  }
  if (is_passable_code(refusal.code)) return say(refusal.code);
  return say(refusal.code.starts_with('4') ? "454 4.7.0" : "550 5.7.0");
}

std::string Front::say_failed(sasl::Failure failure) {
  switch (failure) {
    case sasl::Failure::BadBase64: return "501 5.5.2 That is not base64\r\n";
    case sasl::Failure::Cancelled: return "501 5.7.0 Authentication cancelled\r\n";
    case sasl::Failure::Malformed:
    case sasl::Failure::Empty: break;
  }
  return "501 5.5.2 That is not what the mechanism says\r\n";
}

std::string Front::say_last(std::string answer, std::string_view why) const {
  return answer + "421 4.7.0 " + name() + " " + std::string(why) + "\r\n";
}

std::string Front::say_too_long() const {
  return say_last("500 5.5.6 That is too long\r\n", "Nothing behind it can be understood");
}

// --- Commands, in the order in which a mail program may say them.

FrontEvent Front::next_command() {
  if (in_chunk_) {
    chunk_left_ -= static_cast<uint32_t>(reader().skip(chunk_left_));
    if (chunk_left_ != 0) return NeedBytes{};
    in_chunk_ = false;
    return Reply{log_in_first()};
  }
  switch (reader().next_line(options().line_size)) {
    case line::Step::NeedBytes: return NeedBytes{};
    case line::Step::Whole: {
      FrontEvent event = understand(reader().frame());
      reader().drop();
      // The chunk's answer comes when the chunk is over.
      return in_chunk_ ? next_command() : std::move(event);
    }
    case line::Step::TooLong:
    // The steps of a literal do not happen to a line.
    case line::Step::Swallowed:
    case line::Step::LiteralWaits:
    case line::Step::LiteralTooBig: break;
  }
  return too_long();
}

FrontEvent Front::understand(std::string_view command) {
  std::string_view rest = command;
  const std::string_view word = trim_end(line::take_word(rest));
  const Verb* verb = line::find_verb(verbs, word);
  if (verb == nullptr) {
    if (is_http_method(word)) return goodbye({}, GoodbyeReason::NotThisProtocol);
    return bad("500 5.5.1 Unknown command\r\n");
  }
  // Right words at the wrong time are no attack: not counted.
  if (!verb->in_clear && !options().login_allowed) return Reply{log_in_first()};
  return (this->*verb->handler)(trim(rest));
}

FrontEvent Front::ehlo(std::string_view arguments) {
  if (!meet(arguments, false)) return bad("501 5.5.4 EHLO takes your name or address\r\n");
  std::string reply = "250-" + name() + "\r\n";
  const auto add = [&reply](std::string_view capability) { reply.append("250-").append(capability).append("\r\n"); };
  std::string_view learned = options().learned;
  while (!learned.empty()) {
    const std::string_view capability = line::take_line(learned);
    if (is_front_capability(capability)) add(capability);
  }
  add("PIPELINING");
  if (offers_starttls()) add("STARTTLS");
  if (const std::string mechanisms = offered_mechanisms(" "); !mechanisms.empty()) add("AUTH" + mechanisms);
  if (options().may_name_address) add("XCLIENT ADDR PORT");
  return Reply{reply + "250 ENHANCEDSTATUSCODES\r\n"};
}

FrontEvent Front::helo(std::string_view arguments) {
  if (!meet(arguments, true)) return bad("501 5.5.4 HELO takes your name or address\r\n");
  return Reply{"250 " + name() + "\r\n"};
}

bool Front::meet(std::string_view arguments, bool is_old) {
  if (!is_helo(arguments)) return false;
  helo_ = arguments;
  helo_is_old_ = is_old;
  return true;
}

// The new Front behind the handshake knows nothing of an EHLO (RFC 3207, section 4.2).
FrontEvent Front::starttls(std::string_view arguments) {
  if (!arguments.empty()) return bad("501 5.5.4 STARTTLS takes no argument\r\n");
  if (options().tls_active) return bad("503 5.5.1 TLS is active already\r\n");
  if (!options().starttls_offered) return bad("502 5.5.1 STARTTLS is not offered here\r\n");
  return start_tls("220 2.0.0 Begin the TLS handshake\r\n");
}

// RFC 4954, section 4. After HELO, AUTH was not announced, but who tries it knows what he does.
FrontEvent Front::auth(std::string_view arguments) {
  if (!options().login_allowed) {
    return refuse(offers_starttls() ? log_in_first()
                                    : "538 5.7.11 Passwords do not cross this connection in clear\r\n");
  }
  if (helo_.empty()) return bad("503 5.5.1 Say EHLO first\r\n");
  const std::string_view mechanism = line::take_word(arguments);
  if (mechanism.empty()) return bad("501 5.5.4 AUTH takes a mechanism\r\n");
  std::optional<FrontEvent> event =
      authenticate(mechanism, arguments.empty() ? std::nullopt : std::optional(arguments));
  if (!event) return Reply{"504 5.5.4 That mechanism is not offered\r\n"};
  return *std::move(event);
}

FrontEvent Front::noop(std::string_view) {
  return Reply{"250 2.0.0 Nothing done\r\n"};
}

FrontEvent Front::rset(std::string_view arguments) {
  if (!arguments.empty()) return bad("501 5.5.4 RSET takes no argument\r\n");
  return Reply{"250 2.0.0 Nothing to forget\r\n"};
}

FrontEvent Front::help(std::string_view) {
  return Reply{"214 2.0.0 Say EHLO, then AUTH; the rest is for those who are logged in\r\n"};
}

// RFC 5321, section 3.5.3: 252 neither confirms a user nor denies him.
FrontEvent Front::vrfy(std::string_view) {
  return Reply{"252 2.0.0 Nobody is confirmed here; log in and send mail\r\n"};
}

FrontEvent Front::expn(std::string_view) {
  return Reply{"502 5.5.1 Lists are not expanded here\r\n"};
}

FrontEvent Front::quit(std::string_view) {
  return goodbye("221 2.0.0 Until next time\r\n", GoodbyeReason::Logout);
}

FrontEvent Front::transaction(std::string_view) {
  return Reply{log_in_first()};
}

// RFC 3030, section 2: the chunk follows without waiting. Read as commands it could log somebody in, so where its size
// is not known, or too much to swallow, nothing behind it can be trusted.
FrontEvent Front::bdat(std::string_view arguments) {
  const std::optional<Chunk> chunk = parse_chunk(arguments);
  if (!chunk || chunk->size > swallow_size_max) {
    const std::string answer = chunk ? log_in_first() : std::string("501 5.5.4 BDAT takes a size\r\n");
    return goodbye(say_last(answer, "Nothing behind it can be understood"), GoodbyeReason::TooLong);
  }
  in_chunk_ = true;
  chunk_left_ = chunk->size;
  return NeedBytes{};
}

// Postfix's own command: the session begins anew, with a greeting. LOGIN is not among what we take: nobody logs in by
// another's word here.
FrontEvent Front::xclient(std::string_view arguments) {
  if (!options().may_name_address) return bad("550 5.7.0 XCLIENT is not for you\r\n");
  if (arguments.empty()) return bad("501 5.5.4 XCLIENT takes attributes\r\n");
  const protocol::FrontSaid before = said();
  while (!arguments.empty()) {
    const std::string_view attribute = line::take_word(arguments);
    if (attribute.empty() || note_xclient(attribute)) continue;
    said() = before;
    return bad("501 5.5.4 Bad XCLIENT attribute\r\n");
  }
  helo_.clear();
  helo_is_old_ = false;
  return Reply{"220 " + name() + " ESMTP Postern ready\r\n"};
}

// False: not an attribute that we take.
bool Front::note_xclient(std::string_view attribute) {
  const size_t equals = attribute.find('=');
  const std::string_view name = attribute.substr(0, equals);
  const std::optional<std::string> text =
      equals == attribute.npos ? std::nullopt : read_xtext(attribute.substr(equals + 1));
  if (!text) return false;
  std::string_view value = *text;
  const bool unknown = line::same_word(value, "[UNAVAILABLE]") || line::same_word(value, "[TEMPUNAVAIL]");
  if (unknown) value = {};
  if (line::same_word(name, "ADDR")) {
    if (line::same_word(value.substr(0, 5), "IPV6:")) value.remove_prefix(5);
    said().address = line::one_line(value, address_size_max);
    return true;
  }
  if (line::same_word(name, "PORT")) {
    const std::optional<uint16_t> port = line::parse_number<uint16_t>(value);
    if (!port && !unknown) return false;
    said().port = port.value_or(0);
    return true;
  }
  if (!line::same_word(name, "SESSION")) return false;
  note_session(value);
  return true;
}

// --- How we say it.

// RFC 4954, section 6, and 3207, section 4.
std::string Front::log_in_first() const {
  const bool tls_first = !options().login_allowed && offers_starttls();
  return tls_first ? "530 5.7.0 Must issue a STARTTLS command first\r\n" : "530 5.7.0 Log in first\r\n";
}

// A reply begins with a name (RFC 5321, section 4.2), so there must be one.
std::string Front::name() const {
  const std::string name = line::one_line(options().hostname, text_size_max);
  return name.empty() ? "localhost" : name;
}

}  // namespace postern::smtp
