// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/front.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "protocol/line/word.h"
#include "protocol/sasl/message.h"

namespace postern::protocol {
namespace {

// Of another program's name for its session: twice what ours has, and more than anyone's in a log.
constexpr size_t session_id_size_max = 64;

}  // namespace

Front::Front(FrontOptions options) : options_(std::move(options)) {}

void Front::describe(BackIdentity&) const {}

void Front::feed(std::string_view plaintext) {
  if (state_ != State::Over && state_ != State::Leaving) reader_.feed(plaintext);
}

FrontEvent Front::next() {
  switch (state_) {
    case State::Command: return next_command();
    case State::Sasl:
      if (pending_) return on_sasl(*std::exchange(pending_, std::nullopt));
      return next_sasl_line();
    case State::TokenRefused: return next_sasl_line();
    case State::Leaving: return goodbye(say_last({}, "Too many refused logins"), GoodbyeReason::LoginAttempts);
    case State::Verifying:
    case State::LoggedIn:
    case State::Over: break;
  }
  return NeedBytes{};
}

bool Front::wants_bytes() const {
  switch (state_) {
    case State::Command:
    case State::Sasl:
    case State::TokenRefused: return true;
    case State::Verifying: return reader_.unread_size() < unread_size_max;
    case State::LoggedIn:
    case State::Leaving:
    case State::Over: break;
  }
  return false;
}

// ---- The login and its answers -------------------------------------------------------------------------------------

std::optional<FrontEvent> Front::authenticate(std::string_view mechanism, std::optional<std::string_view> initial) {
  if (!options_.login_allowed) return std::nullopt;
  exchange_ = sasl::Exchange::of(mechanism, options_.means);
  if (!exchange_) return std::nullopt;
  return on_sasl(exchange_->begin(initial));
}

FrontEvent Front::next_sasl_line() {
  switch (reader_.next_line(sasl::line_size_max)) {
    case line::Step::Whole: {
      FrontEvent event = sasl_line(reader_.frame());
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

FrontEvent Front::sasl_line(std::string_view base64) {
  // Whatever the mail program says to the reason for its token's refusal, even "*": now comes the refusal.
  if (state_ == State::TokenRefused)
    return Reply{count_refusal(say_refused(*std::exchange(token_refusal_, std::nullopt)))};
  return on_sasl(exchange_->answer(base64));
}

FrontEvent Front::on_sasl(sasl::Step step) {
  if (auto* asked = std::get_if<sasl::Challenge>(&step)) {
    state_ = State::Sasl;
    return Reply{challenge(asked->base64)};
  }
  if (auto* wanted = std::get_if<sasl::WantsKeys>(&step)) {
    state_ = State::Verifying;
    mechanism_ = wanted->mechanism;
    return std::move(*wanted);
  }
  state_ = State::Command;
  exchange_.reset();
  if (auto* credentials = std::get_if<Credentials>(&step)) {
    state_ = State::Verifying;
    mechanism_ = credentials->mechanism;
    return Login{std::move(*credentials)};
  }
  const sasl::Failure failure = std::get<sasl::Failure>(step);
  if (failure == sasl::Failure::Empty) return refuse(say_refused({.cause = RefusalCause::Credentials}), {});
  // Changing one's mind is no mistake.
  if (failure == sasl::Failure::Cancelled) return Reply{say_failed(failure)};
  return bad(say_failed(failure));
}

void Front::keys(const ScramKeys* keys) {
  CHECK(state_ == State::Verifying && exchange_);
  state_ = State::Sasl;
  pending_ = exchange_->keys(keys);
}

FrontEvent Front::log_in(Credentials credentials) {
  if (credentials.user.empty() || credentials.password.empty()) {
    return refuse(say_refused({.cause = RefusalCause::Credentials}),
                  {RefusedHere::Why::Empty, std::move(credentials.user)});
  }
  state_ = State::Verifying;
  mechanism_ = credentials.mechanism;
  return Login{std::move(credentials)};
}

std::string Front::accepted(const Accepted& accepted) {
  CHECK(state_ == State::Verifying);
  state_ = State::LoggedIn;
  return say_accepted(accepted);
}

std::string Front::rejected(const Refusal& refusal) {
  CHECK(state_ == State::Verifying);
  exchange_.reset();
  const bool temporary = refusal.cause == RefusalCause::Unavailable || refusal.cause == RefusalCause::Limit;
  if (is_token(mechanism_) && !temporary) {
    token_refusal_ = refusal;
    state_ = State::TokenRefused;
    return challenge(sasl::token_refused());
  }
  return count_refusal(say_refused(refusal));
}

std::string Front::count_refusal(std::string answer) {
  state_ = ++attempts_ < options_.login_attempts ? State::Command : State::Leaving;
  return answer;
}

FrontEvent Front::refuse(std::string answer, RefusedHere refused) {
  if (++attempts_ < options_.login_attempts) return Reply{std::move(answer), std::move(refused)};
  FrontEvent event = goodbye(say_last(std::move(answer), "Too many refused logins"), GoodbyeReason::LoginAttempts);
  std::get<Goodbye>(event).refused = std::move(refused);
  return event;
}

std::string_view refusal_sentence(RefusalCause cause) {
  switch (cause) {
    case RefusalCause::Credentials: return "Wrong user name or password";
    case RefusalCause::Unavailable: return "Your login cannot be served right now; please try again later";
    case RefusalCause::NotAllowed: return "You may not log in here";
    case RefusalCause::Limit: return "Too many sessions of this user";
    case RefusalCause::Passed: break;
  }
  return "The mail server refuses this login";
}

std::string Front::offered_mechanisms(std::string_view before) const {
  std::string list;
  if (!options_.login_allowed) return list;
  options_.means.mechanisms.for_each_sasl(
      [&](Mechanism mechanism) { list.append(before).append(mechanism_word(mechanism)); });
  return list;
}

void Front::note_session(std::string_view id) {
  said_.session_id = line::one_line(id, session_id_size_max);
  std::erase(said_.session_id, ' ');
}

void Front::note_hops(uint64_t hops_left) {
  said_.hops_left = static_cast<uint8_t>(std::min<uint64_t>(hops_left, UINT8_MAX));
}

// ---- Ends ----------------------------------------------------------------------------------------------------------

FrontEvent Front::bad(std::string answer) {
  if (++bad_commands_ < options_.bad_commands) return Reply{std::move(answer)};
  return goodbye(say_last(std::move(answer), "Too many bad commands"), GoodbyeReason::BadCommands);
}

FrontEvent Front::goodbye(std::string text, GoodbyeReason reason) {
  state_ = State::Over;
  reader_.clear();
  return Goodbye{std::move(text), reason, {}};
}

FrontEvent Front::start_tls(std::string reply) {
  state_ = State::Over;
  const size_t dropped = reader_.behind_size();
  reader_.clear();
  return StartTls{std::move(reply), dropped};
}

// A web browser or a script that speaks to us as to a web server may carry bytes for us from someone else (RFC 9325,
// section 3.8).
bool Front::is_http_method(std::string_view word) {
  static constexpr std::string_view methods[] = {"GET",   "POST",    "HEAD",  "PUT", "DELETE",
                                                 "PATCH", "OPTIONS", "TRACE", "PRI", "CONNECT"};
  return std::find(std::begin(methods), std::end(methods), word) != std::end(methods);
}

}  // namespace postern::protocol
