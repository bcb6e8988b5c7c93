// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sieve/front.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/line/word.h"
#include "protocol/sieve/text.h"

namespace postern::sieve {
namespace {

using protocol::FrontEvent;
using protocol::GoodbyeReason;
using protocol::Mechanism;
using protocol::NeedBytes;
using protocol::RefusalCause;
using protocol::Reply;
using protocol::text_size_max;

// A script that is uploaded before the login is read and thrown away up to here; beyond, we part. Scripts that people
// write are a tenth of it, and it costs us no memory.
constexpr size_t swallow_size_max = 65536;

// A capability of a mail server that is longer is no list of words any more; the largest in use have some 1,000 bytes.
constexpr size_t capability_size_max = 4096;

// What is not even a string cannot be base64 either.
constexpr std::string_view not_base64 = "-";

// `code` may be empty. The text comes last, so that CR, LF and NUL are gone from whatever is in it.
std::string say(std::string_view status, std::string_view code, std::string_view text) {
  std::string line(status);
  if (!code.empty()) line.append(" (").append(code).append(")");
  line.push_back(' ');
  append_string(line, line::one_line(text, text_size_max), LiteralForm::OfServer);
  return line.append("\r\n");
}

std::string ok(std::string_view text) {
  return say("OK", {}, text);
}
std::string no(std::string_view text) {
  return say("NO", {}, text);
}

}  // namespace

// `handler` is null for what only a logged-in user may do.
struct Front::Verb {
  std::string_view name;
  FrontEvent (Front::*handler)(std::string_view arguments);
};

const Front::Verb Front::verbs[] = {
    // Any state.
    {"CAPABILITY", &Front::capability},
    {"NOOP", &Front::noop},
    {"LOGOUT", &Front::logout},
    // Not authenticated.
    {"STARTTLS", &Front::starttls},
    {"AUTHENTICATE", &Front::authenticate},
    // Authenticated.
    {"CHECKSCRIPT", nullptr},
    {"DELETESCRIPT", nullptr},
    {"GETSCRIPT", nullptr},
    {"HAVESPACE", nullptr},
    {"LISTSCRIPTS", nullptr},
    {"PUTSCRIPT", nullptr},
    {"RENAMESCRIPT", nullptr},
    {"SETACTIVE", nullptr},
    {"UNAUTHENTICATE", nullptr},
};

// RFC 5804, section 1.7 and 2.2.
std::string Front::greeting() {
  if (options().after_starttls) return capabilities() + ok("TLS is up");
  const std::string host = line::one_line(options().hostname, text_size_max);
  return capabilities() + ok(host.empty() ? "Postern ready" : host + " Postern ready");
}

std::string Front::challenge(std::string_view base64) const {
  std::string line;
  append_string(line, base64, LiteralForm::OfServer);
  return line.append("\r\n");
}

std::string Front::say_accepted(const protocol::Accepted& accepted) {
  return ok(accepted.text.empty() ? std::string_view("Logged in") : std::string_view(accepted.text));
}

// RFC 5804, section 1.3. It has no code for a wrong password: a NO without code is one. QUOTA speaks of scripts, so too
// many sessions are TRYLATER's.
std::string Front::say_refused(const protocol::Refusal& refusal) {
  const auto refuse_with = [&](std::string_view code) {
    const std::string_view sentence = protocol::refusal_sentence(refusal.cause);
    return say("NO", code, refusal.text.empty() ? sentence : std::string_view(refusal.text));
  };
  switch (refusal.cause) {
    case RefusalCause::Credentials:
    case RefusalCause::NotAllowed: return refuse_with({});
    case RefusalCause::Unavailable:
    case RefusalCause::Limit: return refuse_with("TRYLATER");
    case RefusalCause::Passed: break;
  }
  return refuse_with(is_passable_code(refusal.code) ? std::string_view(refusal.code) : std::string_view());
}

// RFC 5804, section 2.1: all of these are NO.
std::string Front::say_failed(sasl::Failure failure) {
  switch (failure) {
    case sasl::Failure::BadBase64: return no("That is not a string of base64");
    case sasl::Failure::Cancelled: return no("Authentication cancelled");
    case sasl::Failure::Malformed:
    case sasl::Failure::Empty: break;
  }
  return no("That is not what the mechanism says");
}

std::string Front::bye(std::string_view text) const {
  return say("BYE", {}, text);
}

// --- Commands, in the order in which a mail program may say them.

FrontEvent Front::next_command() {
  for (;;) {
    switch (reader().next_command(limits())) {
      case line::Step::NeedBytes: return NeedBytes{};
      case line::Step::Swallowed: return Reply{std::exchange(swallowed_, {})};
      case line::Step::LiteralTooBig:
        if (Answer answer = on_big_literal()) return *std::move(answer);
        break;
      case line::Step::Whole: {
        FrontEvent event = understand(reader().frame());
        reader().drop();
        return event;
      }
      // No literal waits under our limits.
      case line::Step::LiteralWaits:
      case line::Step::TooLong: return too_long();
    }
  }
}

FrontEvent Front::understand(std::string_view command) {
  const std::string_view name = line::take_word(command);
  const Verb* verb = line::find_verb(verbs, name);
  if (verb == nullptr) {
    if (is_http_method(name)) return goodbye({}, GoodbyeReason::NotThisProtocol);
    return bad(no(name.empty() ? "A command is missing" : "Unknown command"));
  }
  // Right words at the wrong time are no attack: not counted.
  if (verb->handler == nullptr) return Reply{no("Log in first")};
  return (this->*verb->handler)(command);
}

// Its octets are on their way. They must be read as the literal that they are, and the answer comes after them.
Front::Answer Front::on_big_literal() {
  std::string_view command = reader().frame();
  const Verb* verb = line::find_verb(verbs, line::take_word(command));
  FrontEvent event = verb != nullptr && verb->handler == nullptr ? FrontEvent(Reply{no("Log in first")})
                                                                 : bad(no("That string is too long"));
  Reply* reply = std::get_if<Reply>(&event);
  if (reply == nullptr) return event;
  swallowed_ = std::move(reply->bytes);
  reader().swallow();
  return std::nullopt;
}

// RFC 5804, section 2.4.
FrontEvent Front::capability(std::string_view arguments) {
  if (!is_nothing(arguments)) return bad(no("CAPABILITY takes no argument"));
  return Reply{capabilities() + ok("That is all before login")};
}

// RFC 5804, section 2.13: a string comes back as it was sent, so that answers can be told apart.
FrontEvent Front::noop(std::string_view arguments) {
  if (is_nothing(arguments)) return Reply{ok("Nothing done")};
  String tag;
  if (!is_string(arguments, tag)) return bad(no("NOOP takes a string or nothing"));
  const std::string text = tag.text();
  if (text.size() > quoted_size_max || text.find_first_of("\r\n") != text.npos) {
    return bad(no("NOOP takes a string of one line"));
  }
  std::string code = "TAG ";
  append_string(code, text, LiteralForm::OfServer);
  return Reply{say("OK", code, "Nothing done")};
}

// RFC 5804, section 2.3.
FrontEvent Front::logout(std::string_view arguments) {
  if (!is_nothing(arguments)) return bad(no("LOGOUT takes no argument"));
  return goodbye(ok("Until next time"), GoodbyeReason::Logout);
}

// RFC 5804, section 2.2.
FrontEvent Front::starttls(std::string_view arguments) {
  if (!is_nothing(arguments)) return bad(no("STARTTLS takes no argument"));
  if (options().tls_active) return bad(no("TLS is active already"));
  if (!options().starttls_offered) return bad(no("STARTTLS is not offered here"));
  return start_tls(ok("Begin the TLS handshake"));
}

// RFC 5804, section 2.1: the mechanism, and maybe an initial response. An empty one is "", in base64 too.
FrontEvent Front::authenticate(std::string_view arguments) {
  if (!options().login_allowed) {
    return refuse(say("NO", "ENCRYPT-NEEDED", protocol::privacy_sentence));
  }
  String mechanism, initial;
  if (!take_string(arguments, mechanism)) return bad(no("AUTHENTICATE takes the name of a mechanism, a string"));
  const bool alone = is_nothing(arguments);
  if (!alone && (!arguments.starts_with(' ') || !is_string(arguments.substr(1), initial))) {
    return bad(no("AUTHENTICATE takes the name of a mechanism and a string"));
  }
  // Base64 has no backslash, so a string with escapes in it fails as it is.
  Answer event = protocol::Front::authenticate(mechanism.text(), alone ? std::nullopt : std::optional(initial.raw));
  if (!event) return Reply{no("That mechanism is not offered")};
  return *std::move(event);
}

FrontEvent Front::next_sasl_line() {
  // Two quotes, or the announcement of a literal.
  constexpr size_t room = 16;
  const line::CommandLimits one_string{sasl::line_size_max + room, sasl::line_size_max, sasl::line_size_max, 0, false};
  switch (reader().next_command(one_string)) {
    case line::Step::NeedBytes: return NeedBytes{};
    case line::Step::Whole: {
      String response;
      const bool whole = is_string(reader().frame(), response);
      FrontEvent event = sasl_line(whole ? response.raw : not_base64);
      reader().drop();
      return event;
    }
    case line::Step::TooLong:
    case line::Step::Swallowed:
    case line::Step::LiteralWaits:
    case line::Step::LiteralTooBig: break;
  }
  return too_long();
}

// --- How we say it.

// RFC 5804, section 1.7. An empty list of mechanisms means that STARTTLS comes first; where that is not to be had, there
// is no way in at all, and no list of ways.
std::string Front::capabilities() const {
  std::string list = "\"IMPLEMENTATION\" \"Postern\"\r\n";
  const std::string mechanisms = offered_mechanisms(" ");
  if (!mechanisms.empty() || offers_starttls()) {
    list.append("\"SASL\" \"").append(mechanisms, mechanisms.empty() ? 0 : 1).append("\"\r\n");
  }
  if (offers_starttls()) list.append("\"STARTTLS\"\r\n");
  bool has_sieve = false;
  bool has_version = false;
  std::string_view learned = options().learned;
  while (!learned.empty()) {
    const std::optional<Capability> capability = parse_capability(line::take_line(learned));
    if (!capability || !is_front_capability(capability->name)) continue;
    if (capability->value && capability->value->size() > capability_size_max) continue;
    has_sieve |= line::same_word(capability->name, "SIEVE");
    has_version |= line::same_word(capability->name, "VERSION");
    append_string(list, capability->name, LiteralForm::OfServer);
    if (capability->value) append_string(list.append(" "), *capability->value, LiteralForm::OfServer);
    list.append("\r\n");
  }
  if (!has_sieve) list.append("\"SIEVE\" \"\"\r\n");
  if (!has_version) list.append("\"VERSION\" \"1.0\"\r\n");
  return list;
}

// An initial response may be as large as any other line of SASL, and large ones come as literals.
line::CommandLimits Front::limits() const {
  const size_t literal_size = std::max<size_t>(options().literal_size, sasl::line_size_max);
  return {options().line_size, literal_size, literal_size, swallow_size_max, false};
}

}  // namespace postern::sieve
