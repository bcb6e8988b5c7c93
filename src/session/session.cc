// SPDX-License-Identifier: GPL-3.0-or-later
// The front of a session: from the first byte to complete credentials, and the end.
#include "session/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "session/dialects.h"
#include "tls/digest.h"
#include "tls/random.h"

namespace postern::session {
namespace {

// Unsent answers beyond this stop the reading: a mail program that asks without listening.
constexpr size_t unsent_answers_max = 4096;
// How long a mail program may take to hang up at close_notify, and then at our FIN.
constexpr Duration notify_timeout = std::chrono::milliseconds(250);
constexpr Duration finish_timeout = std::chrono::seconds(2);

// For people; RFC 5530 would have a code for none of them before a command.
std::string_view turned_away_sentence(Limit limit) {
  switch (limit) {
    case Limit::Sessions: return "Too many sessions, try again later";
    case Limit::SessionsPerAddress:
    case Limit::UnauthenticatedPerAddress:
    case Limit::HandshakeRatePerAddress: return "Too many sessions from your address, try again later";
    case Limit::SessionsPerNetwork: return "Too many sessions from your network, try again later";
    case Limit::Unauthenticated:
    case Limit::HandshakeRate:
    case Limit::Memory: break;
  }
  return "Too busy, try again later";
}

const sasl::Primitives primitives{
    tls::sha256,
    tls::hmac_sha256,
    [](std::span<char> bytes) { tls::random_bytes(bytes.data(), bytes.size()); },
    [] {
      static const std::string pepper = [] {
        std::string bytes(32, '\0');
        tls::random_bytes(bytes.data(), bytes.size());
        return bytes;
      }();
      return std::string_view(pepper);
    },
};

}  // namespace

std::string_view end_word(EndReason reason) {
  switch (reason) {
    case EndReason::FrontClosed: return "front-closed";
    case EndReason::BackClosed: return "back-closed";
    case EndReason::Logout: return "logout";
    case EndReason::FrontReset: return "front-reset";
    case EndReason::BackReset: return "back-reset";
    case EndReason::FrontTls: return "front-tls";
    case EndReason::BackTls: return "back-tls";
    case EndReason::BadCommands: return "bad-commands";
    case EndReason::LoginAttempts: return "login-attempts";
    case EndReason::TooLong: return "too-long";
    case EndReason::NotThisProtocol: return "not-this-protocol";
    case EndReason::ProxyHeader: return "proxy-header";
    case EndReason::ProxyTimeout: return "proxy-timeout";
    case EndReason::HandshakeTimeout: return "handshake-timeout";
    case EndReason::LoginTimeout: return "login-timeout";
    case EndReason::IdleTimeout: return "idle-timeout";
    case EndReason::TurnedAway: return "turned-away";
    case EndReason::Drained: return "drained";
    case EndReason::Kicked: return "kicked";
  }
  return "unknown";
}

Session::Session(Surroundings& surroundings, uint16_t listener, const Endpoint& front, const Endpoint& local,
                 uint64_t id, bool over_limit, Instant now)
    : surroundings_(surroundings),
      setup_(surroundings.setup),
      front_endpoint_(front),
      local_endpoint_(local),
      id_(id),
      began_(now),
      deadline_(now + setup_->options.limits.handshake_timeout),
      login_deadline_(now + setup_->options.limits.login_timeout),
      listener_(listener),
      dialect_(setup_->options.listeners[listener].dialect) {
  surroundings_.counters.accepted++;
  surroundings_.counters.states[state_.index()]++;
  begin(over_limit, now);
}

Session::~Session() {
  surroundings_.counters.states[state_.index()]--;
  release_counts();
  surroundings_.admission->release(share_);
  front_.out.drop(surroundings_.pool, holds_secrets());
  back_.out.drop(surroundings_.pool, holds_secrets());
}

const ListenerOptions& Session::listener() const {
  return setup_->options.listeners[listener_];
}
const Limits& Session::limits() const {
  return setup_->options.limits;
}

uint64_t Session::make_id() {
  return tls::random_number();
}

LogLine& Session::log(Severity severity, std::string_view event) {
  LogLine& line = surroundings_.logs.emplace_back(severity, event);
  line.add("session", id_text()).add("front", front_endpoint_.text());
  return line;
}

void Session::enter(State next) {
  CHECK(is_legal_move(state_.index(), next.index()));
  set_state(std::move(next));
}

// ---- The beginning -------------------------------------------------------------------------------------------------

void Session::begin(bool over_limit, Instant now) {
  if (over_limit) return turn_away(Limit::Sessions, now);
  if (!listener().proxy_protocol) {
    if (is_admitted(now)) begin_front({}, now);
    return;
  }
  if (!any_contains(listener().trusted, front_endpoint_)) {
    log(Severity::Warning, "proxy-header")
        .add("reason", "not-trusted")
        .say("this address is not in the listener's `trusted` networks");
    return finish(EndReason::ProxyHeader, now);
  }
  state_ = AwaitingProxyHeader{std::make_unique<proxy_header::Reader>()};
  deadline_ = now + limits().proxy_timeout;
}

// By the address that is known now: behind a load balancer it came with the PROXY header.
bool Session::is_admitted(Instant now) {
  const bool is_webmail = any_contains(listener().webmail, front_endpoint_);
  const std::optional<Limit> limit = surroundings_.admission->admit(front_endpoint_, is_webmail, limits(), share_);
  if (limit) turn_away(*limit, now);
  return !limit;
}

// In clear the dialect has words for it; a TLS handshake for them would cost what the limit is to save. A load balancer
// that has sent no header yet is told nothing.
bool Session::takes_words() const {
  if (std::holds_alternative<Handshaking>(state_)) return false;
  if (listener().proxy_protocol && std::get_if<AwaitingProxyHeader>(&state_)->reader == nullptr) return false;
  return listener().tls != FrontTls::Implicit;
}

void Session::turn_away(Limit limit, Instant now) {
  surroundings_.counters.turned_away[static_cast<size_t>(limit)]++;
  log(Severity::Notice, "turned-away")
      .add("protocol", protocol_word())
      .add("listener", listener().name)
      .add("reason", limit_word(limit))
      .add("limit", limit_value(limit, limits()));
  std::string words;
  if (Login* const present = login()) {
    words = present->front->bye(turned_away_sentence(limit));
  } else if (takes_words()) {
    words = make_front(dialect_, front_options({}))->bye(turned_away_sentence(limit));
  }
  finish(EndReason::TurnedAway, now, words);
}

void Session::begin_front(FrontTlsFacts proxied, Instant now) {
  if (listener().tls == FrontTls::Implicit) {
    deadline_ = began_ + limits().handshake_timeout;
    enter(Handshaking{.began = began_});
    return;
  }
  begin_login(false, std::move(proxied), now);
}

void Session::take_proxy_header(std::span<const char>& bytes, Instant now) {
  proxy_header::Reader& reader = *std::get<AwaitingProxyHeader>(state_).reader;
  const proxy_header::Step step = reader.feed({bytes.data(), bytes.size()});
  if (std::holds_alternative<proxy_header::NeedBytes>(step)) {
    bytes = {};
    return;
  }
  if (const auto* bad = std::get_if<proxy_header::Bad>(&step)) {
    log(Severity::Warning, "proxy-header").add("reason", proxy_header::bad_word(*bad));
    return finish(EndReason::ProxyHeader, now);
  }
  const auto& header = std::get<proxy_header::Header>(step);
  FrontTlsFacts facts;
  bytes = bytes.subspan(header.consumed);
  if (const auto* proxied = std::get_if<proxy_header::Proxied>(&header.from)) {
    front_endpoint_ = proxied->source;
    local_endpoint_ = proxied->destination;
    if (proxied->tls) facts = {proxied->sni, proxied->tls_version.empty() ? "TLS" : proxied->tls_version, {}, {}};
  }
  if (is_admitted(now)) begin_front(std::move(facts), now);
}

void Session::received(Side side, std::span<const char> bytes, Instant now) {
  if (side == Side::Back) {
    if (std::holds_alternative<Relaying>(state_)) return relay(Side::Back, bytes, now);
    if (std::holds_alternative<LoggingInBack>(state_)) return take_back_login(bytes, now);
    return;
  }
  // One receive may end a header, hold a handshake and begin a command.
  while (!bytes.empty()) {
    if (std::holds_alternative<Relaying>(state_)) return relay(Side::Front, bytes, now);
    if (std::holds_alternative<Closing>(state_)) return;
    if (std::holds_alternative<AwaitingProxyHeader>(state_)) {
      take_proxy_header(bytes, now);
    } else if (std::holds_alternative<Handshaking>(state_)) {
      shake_hands(bytes, now);
    } else {
      take_front_plain(bytes, now);
      bytes = {};
    }
  }
}

// ---- The dialect's front -------------------------------------------------------------------------------------------

// What may be offered on this connection: the listener's list, without what the connection cannot carry.
sasl::Means Session::means(const FrontTlsFacts& tls) const {
  sasl::Means means;
  means.mechanisms = listener().mechanisms;
  means.primitives = &primitives;
  if (tls.certificate.fingerprint.empty()) means.mechanisms.remove(protocol::Mechanism::External);
  if (tls.bindings.empty()) means.mechanisms.remove(protocol::Mechanism::ScramSha256Plus);
  if (means.mechanisms.has(protocol::Mechanism::ScramSha256Plus)) means.channel_bindings = tls.bindings;
  return means;
}

protocol::FrontOptions Session::front_options(const FrontTlsFacts& tls) const {
  const bool tls_active = front_.channel || !tls.version.empty();
  protocol::FrontOptions options;
  options.hostname = setup_->options.hostname;
  options.tls_active = tls_active;
  options.starttls_offered = listener().tls == FrontTls::StartTls;
  options.login_allowed = tls_active || listener().login_without_tls;
  options.means = means(tls);
  options.learned = learned();
  options.may_name_address = any_contains(listener().webmail, front_endpoint_);
  options.line_size = limits().line_size;
  options.literal_size = limits().literal_size;
  options.bad_commands = limits().bad_commands;
  options.login_attempts = limits().login_attempts;
  return options;
}

// What the mail servers can do, as far as it is known before the user is.
std::string Session::learned() const {
  if (!listener().capabilities.empty()) return absl::StrJoin(listener().capabilities, "\n");
  const Pool* const pool = setup_->pool(listener_pool());
  return pool == nullptr ? std::string() : view(*pool).learned;
}

void Session::begin_login(bool after_starttls, FrontTlsFacts tls, Instant now) {
  protocol::FrontOptions options = front_options(tls);
  options.after_starttls = after_starttls;
  auto login = std::make_unique<Login>(make_front(dialect_, std::move(options)));
  login->tls = std::move(tls);
  begin_trace(*login, now);
  say(front_, login->front->greeting(), now);
  enter(LoggingIn{std::move(login)});
  deadline_ = login_deadline_;
}

Login* Session::login() {
  return std::visit(
      [](auto& state) -> Login* {
        if constexpr (requires { state.login; }) {
          return state.login.get();
        } else {
          return nullptr;
        }
      },
      state_);
}

std::unique_ptr<Login> Session::take_login() {
  std::unique_ptr<Login> taken = std::visit(
      [](auto& state) -> std::unique_ptr<Login> {
        if constexpr (requires { state.login; }) {
          return std::move(state.login);
        } else {
          return nullptr;
        }
      },
      state_);
  CHECK(taken != nullptr);
  return taken;
}

void Session::take_front_plain(std::span<const char> bytes, Instant now) {
  protocol::Front& front = *login()->front;
  if (!front_.channel) {
    trace(Voice::ProgramToGate, {bytes.data(), bytes.size()}, now);
    front.feed({bytes.data(), bytes.size()});
    return steer_front(now);
  }
  const auto feed = [&](std::string_view plain) {
    trace(Voice::ProgramToGate, plain, now);
    front.feed(plain);
  };
  if (front_.channel.read_all(bytes, front_.out, surroundings_.pool, feed)) front_.ended = true;
  if (front_.channel.failure() != tls::Failure::None) {
    log(Severity::Notice, "tls-failed").add("reason", tls::failure_word(front_.channel.failure()));
    return finish(EndReason::FrontTls, now);
  }
  steer_front(now);
}

// Asks the dialect for one event after the other, as long as nobody else has the word.
void Session::steer_front(Instant now) {
  while (std::holds_alternative<LoggingIn>(state_)) {
    protocol::FrontEvent event = login()->front->next();
    if (auto* reply = std::get_if<protocol::Reply>(&event)) {
      if (reply->refused) note_refused_here(*reply->refused);
      say(front_, reply->bytes, now);
    } else if (auto* wish = std::get_if<protocol::Login>(&event)) {
      begin_verifying(std::move(wish->credentials), now);
    } else if (auto* wanted = std::get_if<protocol::WantsKeys>(&event)) {
      ask_for_keys(*wanted, now);
    } else if (auto* start = std::get_if<protocol::StartTls>(&event)) {
      if (start->dropped != 0) {
        log(Severity::Warning, "starttls")
            .say("bytes stood behind STARTTLS and were thrown away: an injection or a broken mail program");
      }
      if (const auto limit = surroundings_.admission->shake_hands(share_, limits(), now)) return turn_away(*limit, now);
      say(front_, start->reply, now);
      enter(Handshaking{.after_starttls = true, .began = now});
      deadline_ = std::min(login_deadline_, now + limits().handshake_timeout);
    } else if (auto* goodbye = std::get_if<protocol::Goodbye>(&event)) {
      if (goodbye->refused) note_refused_here(*goodbye->refused);
      EndReason reason = EndReason::Logout;
      switch (goodbye->reason) {
        case protocol::GoodbyeReason::Logout: break;
        case protocol::GoodbyeReason::BadCommands: reason = EndReason::BadCommands; break;
        case protocol::GoodbyeReason::LoginAttempts: reason = EndReason::LoginAttempts; break;
        case protocol::GoodbyeReason::TooLong: reason = EndReason::TooLong; break;
        case protocol::GoodbyeReason::NotThisProtocol: reason = EndReason::NotThisProtocol; break;
      }
      return finish(reason, now, goodbye->text);
    } else {
      // Nothing more will come, and nothing is under way.
      if (front_.ended) finish(EndReason::FrontClosed, now);
      return;
    }
  }
}

void Session::say(Leg& leg, std::string_view plain, Instant now) {
  if (plain.empty()) return;
  trace(&leg == &front_ ? Voice::GateToProgram : Voice::GateToServer, plain, now);
  if (!leg.channel) return leg.out.append(surroundings_.pool, plain);
  // A failure shows at the next read; there is nobody to tell.
  (void)leg.channel.write(plain, leg.out, surroundings_.pool);
}

// ---- Ends ----------------------------------------------------------------------------------------------------------

void Session::ended(Side side, Instant now) {
  (side == Side::Front ? front_ : back_).ended = true;
  if (std::holds_alternative<Relaying>(state_)) return relay_ended(side, now);
  if (std::holds_alternative<Closing>(state_)) return settle_closing(now);
  if (side == Side::Back) {
    if (std::holds_alternative<LoggingInBack>(state_)) back_closed(now);
    return;
  }
  // With a login under way its end is awaited: the mail program may have sent all it has to say.
  if (std::holds_alternative<LoggingIn>(state_)) return steer_front(now);
  if (std::holds_alternative<AwaitingProxyHeader>(state_) || std::holds_alternative<Handshaking>(state_)) {
    finish(EndReason::FrontClosed, now);
  }
}

void Session::broke(Side side, Instant now) {
  if (side == Side::Front) return abandon(EndReason::FrontReset, now);
  back_.ended = true;
  if (std::holds_alternative<Relaying>(state_)) return finish(EndReason::BackReset, now);
  if (std::holds_alternative<LoggingInBack>(state_) && !repeats_handshake(now)) {
    member_failed("reset", "the mail server reset the connection during the login", true, now);
  }
}

void Session::finish(EndReason reason, Instant now, std::string_view last_words) {
  if (std::holds_alternative<Closing>(state_)) return;
  end_reason_ = reason;
  say(front_, last_words, now);
  if (front_.channel) front_.channel.close(front_.out, surroundings_.pool);
  if (reason != EndReason::TurnedAway) log_end(now);
  release_counts();
  enter(Closing{});
  setup_.reset();
  back_attempt_ = 0;
  const Duration closing_timeout = surroundings_.setup->options.limits.closing_timeout;
  deadline_ = now + (reason == EndReason::TurnedAway ? std::min(closing_timeout, finish_timeout) : closing_timeout);
  settle_closing(now);
}

void Session::abandon(EndReason reason, Instant now) {
  front_.ended = true;
  if (!std::holds_alternative<Closing>(state_)) {
    end_reason_ = reason;
    log_end(now);
    setup_.reset();
  }
  release_counts();
  set_state(Closing{Closing::Phase::Over});
  back_attempt_ = 0;
  deadline_ = instant_never;
}

void Session::settle_closing(Instant now) {
  auto& closing = std::get<Closing>(state_);
  if (closing.phase == Closing::Phase::Flushing && front_.out.idle()) {
    // A crowd at the door must not wait inside.
    if (end_reason_ == EndReason::TurnedAway) front_.ended = true;
    closing.phase = front_.channel ? Closing::Phase::Lingering : Closing::Phase::Finishing;
    deadline_ = now + (front_.channel ? notify_timeout : finish_timeout);
  }
  if (closing.phase != Closing::Phase::Flushing && front_.ended) {
    closing.phase = Closing::Phase::Over;
    deadline_ = instant_never;
  }
}

void Session::sent(Side side, Instant now) {
  if (side == Side::Front && std::holds_alternative<Closing>(state_)) settle_closing(now);
}

void Session::due(Instant now) {
  if (now < deadline_) return;
  if (auto* closing = std::get_if<Closing>(&state_)) {
    if (closing->phase == Closing::Phase::Flushing) count(Timeout::Closing);
    if (closing->phase != Closing::Phase::Lingering) return abandon(end_reason_, now);
    closing->phase = Closing::Phase::Finishing;
    deadline_ = now + finish_timeout;
    return;
  }
  if (std::holds_alternative<Relaying>(state_)) {
    count(Timeout::Idle);
    return finish(EndReason::IdleTimeout, now);
  }
  if (std::holds_alternative<AwaitingProxyHeader>(state_)) {
    count(Timeout::ProxyHeader);
    log(Severity::Warning, "proxy-header").add("reason", "timeout");
    return finish(EndReason::ProxyTimeout, now);
  }
  if (now >= login_deadline_ && login() != nullptr) {
    count(Timeout::Login);
    note_unfinished_login();
    return finish(EndReason::LoginTimeout, now, login()->front->bye("Login timed out"));
  }
  if (auto* delaying = std::get_if<Delaying>(&state_)) {
    const protocol::Refusal refusal = std::move(*delaying->refusal);
    return refuse(refusal, now);
  }
  if (auto* connecting = std::get_if<Connecting>(&state_); connecting != nullptr && connecting->login->held) {
    return follow_route(now);
  }
  if (std::holds_alternative<Connecting>(state_)) return connect_failed(ConnectFailure::TimedOut, now);
  if (std::holds_alternative<LoggingInBack>(state_)) {
    return member_failed("timeout", "the mail server did not answer the login in time", true, now);
  }
  count(Timeout::Handshake);
  finish(EndReason::HandshakeTimeout, now);
}

void Session::drain(Instant now) {
  if (std::holds_alternative<Relaying>(state_) || std::holds_alternative<Closing>(state_)) return;
  Login* const present = login();
  finish(EndReason::Drained, now, present == nullptr ? std::string() : present->front->bye("The gate is going down"));
}

void Session::stop(Instant now) {
  finish(EndReason::Drained, now);
}

void Session::log_end(Instant now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - began_).count();
  const auto* relaying = std::get_if<Relaying>(&state_);
  surroundings_.counters.measures.ends[end_word(end_reason_)]++;
  end_trace(end_word(end_reason_), now);
  LogLine& line =
      log(relaying == nullptr ? Severity::Debug : Severity::Info, relaying == nullptr ? "end-before-login" : "end");
  if (relaying != nullptr) {
    line.add("user", relaying->user).add("back", back_endpoint_.text()).add("in", relaying->bytes_in);
    line.add("out", relaying->bytes_out);
  }
  if (front_.channel) line.add("tls", front_.channel.version());
  line.add("protocol", protocol_word());
  line.add("seconds", static_cast<uint64_t>(seconds)).add("reason", end_word(end_reason_));
}

// Before the state is left that holds the user's name.
void Session::release_counts() {
  if (std::exchange(holds_member_, false)) surroundings_.counts->release(back_endpoint_);
  std::string* counted = nullptr;
  if (Login* present = login()) counted = &present->counted_user;
  if (auto* relaying = std::get_if<Relaying>(&state_); relaying != nullptr && relaying->extras != nullptr) {
    counted = &relaying->extras->counted_user;
  }
  if (counted == nullptr || counted->empty()) return;
  surroundings_.counts->release_user(*counted);
  counted->clear();
}

// ---- Wishes --------------------------------------------------------------------------------------------------------

std::optional<auth::Question> Session::take_question() {
  auto* verifying = std::get_if<Verifying>(&state_);
  if (verifying == nullptr || !verifying->question) return std::nullopt;
  std::optional<auth::Question> question(std::move(*verifying->question));
  verifying->question.reset();
  return question;
}

Plan Session::plan() const {
  Plan plan;
  plan.deadline = deadline_;
  plan.back_attempt = back_attempt_;
  if (const auto* closing = std::get_if<Closing>(&state_)) {
    plan.finish_front = closing->phase == Closing::Phase::Finishing;
    plan.receive_front = !front_.ended;
    plan.close = closing->phase == Closing::Phase::Over;
    return plan;
  }
  if (std::holds_alternative<Relaying>(state_)) {
    // A slow reader stops the reading on the other side; so a direction never holds more than two blocks.
    plan.receive_front = !front_.ended && back_.out.waiting_size() == 0;
    if (const smtp::RelayFilter* present = filter()) plan.receive_front &= present->wants_front_bytes();
    plan.receive_back = !back_.ended && front_.out.waiting_size() == 0;
    plan.finish_back = front_.ended;
    return plan;
  }
  plan.receive_front = !front_.ended && front_.out.waiting_size() < unsent_answers_max;
  if (const Login* present = login()) plan.receive_front &= present->front->wants_bytes();
  plan.receive_back = std::holds_alternative<LoggingInBack>(state_) && !back_.ended;
  return plan;
}

}  // namespace postern::session
