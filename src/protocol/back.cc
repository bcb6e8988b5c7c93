// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/back.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "protocol/line/string.h"
#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/message.h"

namespace postern::protocol {

std::string_view failure_word(BackFailure failure) {
  switch (failure) {
    case BackFailure::Garbage: return "garbage";
    case BackFailure::Bye: return "bye";
    case BackFailure::Preauth: return "preauth";
    case BackFailure::Closed: return "closed";
    case BackFailure::TooMuch: return "too-much";
    case BackFailure::NoTls: return "no-tls";
    case BackFailure::NoMechanism: return "no-mechanism";
    case BackFailure::Bad: return "bad";
  }
  return "";
}

bool concerns_every_login(BackFailure failure) {
  return failure != BackFailure::NoMechanism && failure != BackFailure::Bad;
}

Back::Back(BackLogin login, BackIdentity identity, BackTlsPlan tls)
    : login_(std::move(login)), identity_(std::move(identity)), tls_(tls) {
  // A master who logs in as himself is no master.
  if (login_.master == login_.user) login_.master.clear();
}

void Back::feed(std::string_view plaintext) {
  if (state_ != State::Over && state_ != State::Leaving) reader_.feed(plaintext);
}

BackEvent Back::next() {
  for (;;) {
    Event event;
    switch (state_) {
      case State::LoggedIn:
      case State::Over: return NeedBytes{};
      case State::Leaving: end(State::Over); return Learned{std::move(learned_)};
      case State::Tls:
        if (reader_.unread_size() == 0) return NeedBytes{};
        return fail(BackFailure::NoTls, "bytes came in clear where the TLS handshake should begin");
      case State::Secured: state_ = State::Talking; return secured();
      case State::Talking: event = octets_left_ != 0 ? skip_octets() : next_line();
    }
    if (event) return *std::move(event);
  }
}

void Back::tls_started() {
  CHECK(state_ == State::Tls);
  state_ = State::Secured;
  secured_ = true;
}

Failed Back::closed() const {
  const bool in_handshake = state_ == State::Tls || state_ == State::Secured;
  return {BackFailure::Closed, "the mail server closed the connection before " +
                                   (in_handshake ? std::string("TLS was up") : std::string(awaited()))};
}

// ---- Framing -------------------------------------------------------------------------------------------------------

Back::Event Back::next_line() {
  const std::optional<line::CommandLimits> limits = literals();
  switch (limits ? reader_.next_command(*limits) : reader_.next_line(line_size_max)) {
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

bool Back::skip(uint64_t size) {
  if (size > login_size_max - std::min(size_, login_size_max)) return false;
  size_ += size;
  octets_left_ = size;
  return true;
}

// Nothing that we need stands in a literal.
Back::Event Back::skip_octets() {
  octets_left_ -= reader_.skip(octets_left_);
  if (octets_left_ != 0) return NeedBytes{};
  return std::nullopt;
}

// ---- Ends and turns ------------------------------------------------------------------------------------------------

BackEvent Back::tls_agreed() {
  if (reader_.behind_size() != 0) {
    return fail(BackFailure::NoTls, "bytes came in clear where the TLS handshake should begin");
  }
  state_ = State::Tls;
  return TlsAgreed{};
}

BackEvent Back::logged_in(Accepted accepted) {
  end(State::LoggedIn);
  return LoggedIn{std::move(accepted)};
}

BackEvent Back::refused(Refusal refusal, bool definitive) {
  end(State::Over);
  return Refused{std::move(refusal), definitive};
}

BackEvent Back::learned(std::string capabilities, std::string_view goodbye) {
  learned_ = std::move(capabilities);
  state_ = State::Leaving;
  return send(goodbye);
}

BackEvent Back::fail(BackFailure failure, std::string detail) {
  end(State::Over);
  return Failed{failure, std::move(detail)};
}

void Back::end(State state) {
  login_.password.clear();
  state_ = state;
}

// ---- Secrets -------------------------------------------------------------------------------------------------------

bool Back::login_holds(std::string_view octets) const {
  return login_.user.find_first_of(octets) != std::string::npos ||
         login_.master.find_first_of(octets) != std::string::npos ||
         login_.password.reveal().find_first_of(octets) != std::string_view::npos;
}

Secret Back::client_message(Mechanism mechanism) const {
  BackLogin login;
  login.user = login_.user;
  login.master = login_.master;
  login.password = login_.password.clone();
  login.mechanism = mechanism;
  return sasl::client_message(login);
}

bool Back::holds_password(std::string_view text) const {
  const std::string_view password = login_.password.reveal();
  if (password.empty()) return false;
  std::string in_quotes;
  in_quotes.reserve(2 * password.size() + 2);
  line::append_quoted(in_quotes, password);
  const std::string_view quoted = std::string_view(in_quotes).substr(1, in_quotes.size() - 2);
  // As SASL LOGIN sends it.
  std::string encoded = sasl::base64_encode(password);
  const Mechanism mechanism = login_.mechanism.value_or(Mechanism::Plain);
  const bool found = text.find(password) != text.npos || text.find(quoted) != text.npos ||
                     text.find(encoded) != text.npos || text.find(client_message(mechanism).reveal()) != text.npos ||
                     text.find(client_message(Mechanism::Plain).reveal()) != text.npos;
  wipe(in_quotes);
  wipe(encoded);
  return found;
}

// Controls go first: without them the password could come together.
std::string Back::text_to_show(std::string_view text) const {
  std::string shown = line::one_line(text, line_size_max);
  if (holds_password(shown)) wipe(shown);
  shown.resize(std::min(shown.size(), text_size_max));
  return shown;
}

}  // namespace postern::protocol
