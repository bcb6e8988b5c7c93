// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/pop3/front.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/line/word.h"
#include "protocol/pop3/response.h"

namespace postern::pop3 {
namespace {

using protocol::Credentials;
using protocol::FrontEvent;
using protocol::GoodbyeReason;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::RefusalCause;
using protocol::Reply;

// "AUTH SCRAM-SHA-256-PLUS " and some room.
constexpr size_t auth_words_size_max = 32;

// Whatever the text is, this is one line, and no longer than RFC 2449, section 4, allows.
std::string answer(std::string_view status, std::string_view text) {
  return std::string(status).append(line::one_line(text, response_octets_max - status.size() - 2)).append("\r\n");
}
std::string ok(std::string_view text) {
  return answer("+OK ", text);
}
std::string err(std::string_view text) {
  return answer("-ERR ", text);
}

// Without a code: [AUTH] would say that the password is at fault (RFC 3206, section 5), and some mail programs would
// forget it. [SYS/PERM] and [SYS/TEMP] would blame the mail server, while a setting of the mail program is wrong.
std::string privacy_required() {
  return err(protocol::privacy_sentence);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(' ') == text.npos;
}

enum class Takes : uint8_t { Nothing, Text };

}  // namespace

struct Front::Verb {
  std::string_view name;
  Takes takes;
  FrontEvent (Front::*handler)(std::string_view arguments);
};

const Front::Verb Front::verbs[] = {
    {"CAPA", Takes::Nothing, &Front::capa},
    {"STLS", Takes::Nothing, &Front::stls},
    {"UTF8", Takes::Nothing, &Front::utf8},
    {"XCLIENT", Takes::Text, &Front::xclient},
    {"USER", Takes::Text, &Front::user},
    {"PASS", Takes::Text, &Front::pass},
    {"AUTH", Takes::Text, &Front::auth},
    {"APOP", Takes::Text, &Front::not_offered},
    {"LANG", Takes::Text, &Front::not_offered},
    {"NOOP", Takes::Nothing, &Front::noop},
    {"QUIT", Takes::Nothing, &Front::quit},
    // Only with a mailbox open.
    {"STAT", Takes::Text, &Front::later},
    {"LIST", Takes::Text, &Front::later},
    {"RETR", Takes::Text, &Front::later},
    {"DELE", Takes::Text, &Front::later},
    {"RSET", Takes::Text, &Front::later},
    {"TOP", Takes::Text, &Front::later},
    {"UIDL", Takes::Text, &Front::later},
};

std::string Front::greeting() {
  // After STLS no greeting comes again (RFC 2595, section 4).
  if (options().after_starttls) return {};
  std::string text = options().may_name_address ? "[XCLIENT] " : "";
  if (!options().hostname.empty()) text.append(options().hostname).push_back(' ');
  return ok(text + "Postern ready");
}

std::string Front::bye(std::string_view text) const {
  return err(std::string("[SYS/TEMP] ").append(text));
}

void Front::describe(protocol::BackIdentity& identity) const {
  identity.utf8 = utf8_;
}

std::string Front::challenge(std::string_view base64) const {
  return std::string("+ ").append(base64).append("\r\n");
}

std::string Front::say_accepted(const protocol::Accepted& accepted) {
  const std::string text = line::one_line(accepted.text, protocol::text_size_max);
  // "[" would make a code of it.
  return ok(text.empty() || text.starts_with('[') ? std::string_view("Logged in") : std::string_view(text));
}

// RFC 2449, section 8.1, and RFC 3206.
std::string Front::say_refused(const protocol::Refusal& refusal) {
  const std::string text = line::one_line(refusal.text, protocol::text_size_max);
  const std::string_view sentence = protocol::refusal_sentence(refusal.cause);
  const auto say = [&](std::string_view code) {
    return err(std::string(code).append(text.empty() ? sentence : std::string_view(text)));
  };
  switch (refusal.cause) {
    case RefusalCause::Credentials: return say("[AUTH] ");
    case RefusalCause::Unavailable: return say("[SYS/TEMP] ");
    // [AUTH] would be legal, but the password is right and shall not be asked for again.
    case RefusalCause::NotAllowed: return say("[SYS/PERM] ");
    // It is this user's own sessions that are in the way, and it passes; [LOGIN-DELAY] is about how often, not how
    // many.
    case RefusalCause::Limit: return say("[IN-USE] ");
    case RefusalCause::Passed: break;
  }
  if (is_passable_code(refusal.code)) return say("[" + refusal.code + "] ");
  return text.starts_with('[') ? err(sentence) : say("");
}

std::string Front::say_failed(sasl::Failure failure) {
  switch (failure) {
    case sasl::Failure::BadBase64: return err("That is not base64");
    case sasl::Failure::Cancelled: return err("Authentication cancelled");
    case sasl::Failure::Malformed:
    case sasl::Failure::Empty: break;
  }
  return err("That is not what the mechanism says");
}

std::string Front::say_too_long() const {
  return err("That is too long");
}

// --- Commands, in the order in which a mail program may say them.

// RFC 2449, section 4, has 255 octets for a command. But mail programs send bearer tokens as initial responses, and a
// password may be long, so only AUTH has to keep to SASL's limit and all others to the option.
FrontEvent Front::next_command() {
  switch (reader().next_line(std::max<size_t>(options().line_size, sasl::line_size_max + auth_words_size_max))) {
    case line::Step::NeedBytes: return NeedBytes{};
    case line::Step::Whole: {
      const std::string_view command = reader().frame();
      if (command.size() > options().line_size && !line::same_word(command.substr(0, 5), "AUTH ")) return too_long();
      FrontEvent event = understand(command);
      reader().drop();
      return event;
    }
    // The steps of a literal do not happen to a line.
    case line::Step::TooLong:
    case line::Step::Swallowed:
    case line::Step::LiteralWaits:
    case line::Step::LiteralTooBig: break;
  }
  return too_long();
}

FrontEvent Front::understand(std::string_view command) {
  // A mail server could take either for the end of a line.
  if (command.find_first_of(std::string_view("\0\r", 2)) != command.npos) return bad(err("That is no command"));
  std::string_view rest = command;
  const std::string_view name = line::take_word(rest);
  const Verb* verb = line::find_verb(verbs, name);
  if (verb == nullptr) {
    if (is_http_method(name)) return goodbye({}, GoodbyeReason::NotThisProtocol);
    return bad(err(name.empty() ? "A command is missing" : "Unknown command"));
  }
  if (verb->takes == Takes::Nothing && !is_blank(rest)) {
    return bad(err(std::string(verb->name).append(" takes no argument")));
  }
  return (this->*verb->handler)(rest);
}

// RFC 2449, section 5: what is true before login, and what the mail servers all say that they can do after it.
FrontEvent Front::capa(std::string_view) {
  std::string list = ok("This works here");
  const auto add = [&list](std::string_view capability) { list.append(capability).append("\r\n"); };
  if (offers_starttls()) add("STLS");
  if (offers(Mechanism::Login)) add("USER");
  if (const std::string sasl = offered_mechanisms(" "); !sasl.empty()) add("SASL" + sasl);
  add("RESP-CODES");
  add("AUTH-RESP-CODE");
  add("IMPLEMENTATION Postern");
  std::string_view learned = options().learned;
  // The promise holds after the login too, where the mail server must keep it.
  if (learned.empty() || has_capability(learned, "PIPELINING")) add("PIPELINING");
  if (learned.empty()) learned = "TOP\nUIDL";  // every mail server has these
  while (!learned.empty()) {
    const std::string_view capability = line::take_line(learned);
    if (is_front_capability(capability)) add(capability);
  }
  return Reply{list + ".\r\n"};
}

// RFC 2595, section 4.
FrontEvent Front::stls(std::string_view) {
  if (options().tls_active) return bad(err("TLS is active already"));
  if (!options().starttls_offered) return bad(err("STLS is not offered here"));
  return start_tls(ok("Begin the TLS handshake"));
}

// RFC 6856, section 2.1. It is the mail server that must do it, so it is said there again before the login.
FrontEvent Front::utf8(std::string_view arguments) {
  if (!has_capability(options().learned, "UTF8")) return not_offered(arguments);
  utf8_ = true;
  return Reply{ok("UTF-8 from now on")};
}

// Dovecot's: a webmail host of ours, or a proxy in front of us, speaks for its user.
FrontEvent Front::xclient(std::string_view arguments) {
  if (!options().may_name_address) return bad(err("Unknown command"));
  while (!arguments.empty()) {
    const std::string_view word = line::take_word(arguments);
    const size_t equals = std::min(word.find('='), word.size());
    if (!note_attribute(word.substr(0, equals), word.substr(std::min(equals + 1, word.size())))) {
      return bad(err("That attribute is not understood"));
    }
  }
  return Reply{ok("Noted")};
}

// What we do not know may be an attribute of a later version, so it passes.
bool Front::note_attribute(std::string_view name, std::string_view value) {
  const std::optional<uint16_t> number = line::parse_number<uint16_t>(value);
  if (line::same_word(name, "ADDR")) said().address = value;
  if (line::same_word(name, "SESSION")) note_session(value);
  if (line::same_word(name, "PORT")) {
    if (!number) return false;
    said().port = *number;
  }
  if (line::same_word(name, "TTL")) {
    if (!number) return false;
    note_hops(*number);
  }
  return true;
}

FrontEvent Front::user(std::string_view name) {
  if (Answer no = no_password()) return *std::move(no);
  if (is_blank(name)) return bad(err("USER takes a name"));
  name_ = name;
  // To everybody: who does not exist is told apart at the password only, and there from nothing.
  return Reply{ok("Now the password")};
}

// RFC 1939, section 7: all that stands behind the first blank is the password, other blanks included.
FrontEvent Front::pass(std::string_view password) {
  if (Answer no = no_password()) return *std::move(no);
  if (name_.empty()) return bad(err("Say USER first"));
  return log_in(Credentials{Mechanism::Login, std::exchange(name_, {}), {}, Secret(password)});
}

Front::Answer Front::no_password() {
  if (!options().login_allowed) return refuse(privacy_required());
  if (!offers(Mechanism::Login)) return Reply{err("USER and PASS are disabled here; use AUTH")};
  return std::nullopt;
}

// RFC 5034, section 4.
FrontEvent Front::auth(std::string_view arguments) {
  name_.clear();
  const std::string_view mechanism = line::take_word(arguments);
  if (mechanism.empty()) {
    // Older mail programs ask so what there is (RFC 1734 had no better way).
    std::string list = ok("These are the mechanisms");
    if (options().login_allowed) {
      options().means.mechanisms.for_each_sasl(
          [&](Mechanism offered) { list.append(protocol::mechanism_word(offered)).append("\r\n"); });
    }
    return Reply{list + ".\r\n"};
  }
  if (!options().login_allowed) return refuse(privacy_required());
  Answer event = authenticate(mechanism, arguments.empty() ? std::nullopt : std::optional(arguments));
  if (!event) return Reply{err("That mechanism is not offered")};
  return *std::move(event);
}

FrontEvent Front::not_offered(std::string_view) {
  return Reply{err("That is not offered here")};
}

FrontEvent Front::noop(std::string_view) {
  return Reply{ok("Nothing done")};
}

FrontEvent Front::quit(std::string_view) {
  return goodbye(ok("Until next time"), GoodbyeReason::Logout);
}

// Right words at the wrong time are no attack: not counted.
FrontEvent Front::later(std::string_view) {
  return Reply{err("Log in first")};
}

}  // namespace postern::pop3
