// SPDX-License-Identifier: GPL-3.0-or-later
// A session from its credentials to the relay: the helper's verdict, the mail server's members, the login there.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "protocol/proxy_header/writer.h"
#include "session/choice.h"
#include "session/dialects.h"
#include "session/session.h"

namespace postern::session {
namespace {

std::string_view connect_word(ConnectFailure failure) {
  switch (failure) {
    case ConnectFailure::Refused: return "refused";
    case ConnectFailure::Unreachable: return "unreachable";
    case ConnectFailure::TimedOut: return "timeout";
    case ConnectFailure::NoDescriptor: return "no-descriptor";
  }
  return "unknown";
}

protocol::Refusal refusal_of(auth::Reject& reject) {
  protocol::Refusal refusal;
  switch (reject.reason) {
    case auth::RejectReason::Credentials: refusal.cause = protocol::RefusalCause::Credentials; break;
    case auth::RejectReason::Disabled:
    case auth::RejectReason::NotAllowed: refusal.cause = protocol::RefusalCause::NotAllowed; break;
  }
  if (!reject.code.empty()) refusal.cause = protocol::RefusalCause::Passed;
  refusal.code = std::move(reject.code);
  refusal.text = std::move(reject.text);
  return refusal;
}

// How long a wrong proof waits for its answer: it is the gate that finds it out, so no helper says a delay.
constexpr Duration proof_delay = std::chrono::seconds(2);

}  // namespace

// ---- The verdict ---------------------------------------------------------------------------------------------------

void Session::begin_verifying(protocol::Credentials credentials, Instant now) {
  std::unique_ptr<Login> login = take_login();
  login->credentials = std::move(credentials);
  trace_user(*login, now);
  if (!protocol::is_scram(login->credentials.mechanism)) login->began = now;
  login->step_began = now;
  login->last_refusal.reset();
  note_said(*login);
  const protocol::FrontSaid& said = login->front->heard();
  const bool is_loop = said.hops_left && *said.hops_left <= 1;
  if (is_loop) {
    enter(Connecting{std::move(login)});
    return refuse({}, now, "too many proxies have passed this login on: they may be asking each other");
  }
  if (protocol::is_scram(login->credentials.mechanism)) return take_proof(std::move(login), now);
  if (setup_->mode == auth::Mode::Back) {
    enter(Connecting{std::move(login)});
    return choose_route({}, now);
  }
  auto question = std::make_unique<auth::Question>(make_question(*login));
  enter(Verifying{std::move(login), std::move(question)});
}

// A trusted webmail host speaks for its user.
void Session::note_said(Login& login) {
  const protocol::FrontSaid& said = login.front->heard();
  std::optional<Endpoint> named = Endpoint::parse(said.address, 1);
  if (!named || said.address.empty()) return;
  named->port = said.port;
  if (*named == front_endpoint_) return;
  const std::string via = front_endpoint_.text();
  front_endpoint_ = *named;
  log(Severity::Info, "named").add("via", via).add("their_session", said.session_id);
}

auth::Question Session::make_question(const Login& login) const {
  const protocol::Credentials& credentials = login.credentials;
  auth::Question question;
  question.protocol = protocol_word();
  question.mechanism = protocol::mechanism_word(credentials.mechanism);
  question.user = credentials.user;
  question.authzid = credentials.authzid;
  question.password = credentials.password.clone();
  question.is_token = protocol::is_token(credentials.mechanism);
  if (credentials.mechanism == protocol::Mechanism::External) question.certificate = login.tls.certificate;
  question.client = front_endpoint_;
  question.local = local_endpoint_;
  question.listener = listener().name;
  question.tls = tls_version(login);
  question.sni = login.tls.sni;
  question.session_id = id_text();
  question.back_ports = back_ports(dialect_);
  return question;
}

void Session::answered(auth::Verdict verdict, Instant now) {
  auto* verifying = std::get_if<Verifying>(&state_);
  if (verifying == nullptr || verifying->question) return;
  // What the cache knew came in the same moment.
  if (now > verifying->login->step_began) measures().helper.note(verifying->login->step_began, now);
  if (trace_ != nullptr) trace(verdict_text(verdict), now);
  if (verifying->login->wants_keys) return take_keys(std::move(verdict), now);
  if (auto* accept = std::get_if<auth::Accept>(&verdict)) {
    enter(Connecting{take_login()});
    return choose_route(std::move(accept->route), now);
  }
  if (auto* reject = std::get_if<auth::Reject>(&verdict)) {
    const protocol::Refusal refusal = refusal_of(*reject);
    if (reject->delay <= Duration::zero()) return refuse(refusal, now);
    note_refusal(*verifying->login, refusal);
    enter(Delaying{take_login(), std::make_unique<protocol::Refusal>(refusal)});
    deadline_ = std::min(login_deadline_, now + reject->delay);
    return;
  }
  // Why nobody knows is the operator's business; the user hears the dialect's own sentence.
  refuse({}, now, std::get<auth::NotNow>(verdict).text);
}

// ---- SCRAM: first the keys, then the proof, and only then the way to the mail server -------------------------------

void Session::ask_for_keys(const protocol::WantsKeys& wanted, Instant now) {
  std::unique_ptr<Login> login = take_login();
  login->began = login->step_began = now;
  login->credentials = protocol::Credentials{wanted.mechanism, wanted.user, {}, {}};
  trace_user(*login, now);
  login->wants_keys = true;
  login->scram_route.reset();
  note_said(*login);
  auto question = std::make_unique<auth::Question>(make_question(*login));
  question->kind = auth::Question::Kind::Scram;
  enter(Verifying{std::move(login), std::move(question)});
}

void Session::take_keys(auth::Verdict verdict, Instant now) {
  std::get<Verifying>(state_).login->wants_keys = false;
  if (const auto* not_now = std::get_if<auth::NotNow>(&verdict)) return refuse({}, now, not_now->text);
  std::unique_ptr<Login> login = take_login();
  auto* accept = std::get_if<auth::Accept>(&verdict);
  if (accept != nullptr && !accept->scram) {
    log(Severity::Notice, "scram")
        .add("user", login->credentials.user)
        .say("the helper has no SCRAM keys of this user");
  }
  const bool has_keys = accept != nullptr && accept->scram;
  login->front->keys(has_keys ? &*accept->scram : nullptr);
  if (has_keys) login->scram_route = std::move(accept->route);
  enter(LoggingIn{std::move(login)});
  steer_front(now);
}

void Session::take_proof(std::unique_ptr<Login> login, Instant now) {
  if (login->credentials.proof_wrong || !login->scram_route) {
    auto refusal = std::make_unique<protocol::Refusal>();
    refusal->cause = protocol::RefusalCause::Credentials;
    note_refusal(*login, *refusal);
    enter(Delaying{std::move(login), std::move(refusal)});
    deadline_ = std::min(login_deadline_, now + proof_delay);
    return;
  }
  auth::Route route = *std::exchange(login->scram_route, std::nullopt);
  enter(Connecting{std::move(login)});
  choose_route(std::move(route), now);
}

LogLine& Session::log_failed(std::string_view user, std::string_view mechanism, bool temporary,
                             std::string_view reason) {
  (temporary ? surroundings_.counters.unavailable : surroundings_.counters.refused)++;
  return log(temporary ? Severity::Warning : Severity::Info, "login-failed")
      .add("user", user)
      .add("mechanism", mechanism)
      .add("protocol", protocol_word())
      .add("tls", tls_word())
      .add("reason", reason);
}

void Session::note_refusal(const Login& login, const protocol::Refusal& refusal, std::string_view why) {
  const protocol::Credentials& credentials = login.credentials;
  const bool temporary = refusal.cause == protocol::RefusalCause::Unavailable;
  measures().refused[static_cast<size_t>(credentials.mechanism)][static_cast<size_t>(refusal.cause)]++;
  LogLine& line = log_failed(credentials.user, protocol::mechanism_word(credentials.mechanism), temporary,
                             protocol::refusal_word(refusal.cause));
  if (refusal.cause == protocol::RefusalCause::Limit) surroundings_.counters.over_user_limit++;
  const std::string_view text = why.empty() ? std::string_view(refusal.text) : why;
  if (!text.empty()) line.say(text);
  if (trace_ != nullptr)
    trace_->remark(absl::StrFormat("refused: %s. %s", protocol::refusal_word(refusal.cause), text));
}

// The time for the login is over while the mail program waits for its answer. It has been logged already where that is a
// refusal that was held back.
void Session::note_unfinished_login() {
  if (std::holds_alternative<LoggingIn>(state_) || std::holds_alternative<Delaying>(state_)) return;
  const protocol::Credentials& credentials = login()->credentials;
  constexpr auto cause = static_cast<size_t>(protocol::RefusalCause::Unavailable);
  measures().refused[static_cast<size_t>(credentials.mechanism)][cause]++;
  log_failed(credentials.user, protocol::mechanism_word(credentials.mechanism), true, "timeout");
}

void Session::note_refused_here(const protocol::RefusedHere& refused) {
  const bool empty = refused.why == protocol::RefusedHere::Why::Empty;
  log_failed(refused.user, "unknown", false, empty ? "empty" : "needs-tls");
}

// The attempt ends with a no; the mail program may try again.
void Session::refuse(const protocol::Refusal& refusal, Instant now, std::string_view why) {
  const bool noted = std::holds_alternative<Delaying>(state_);
  std::unique_ptr<Login> login = take_login();
  if (!noted) note_refusal(*login, refusal, why);
  if (!login->counted_user.empty()) surroundings_.counts->release_user(std::exchange(login->counted_user, {}));
  login->back.reset();
  login->route = auth::Route();
  login->credentials = protocol::Credentials();
  drop_back();
  say(front_, login->front->rejected(refusal), now);
  enter(LoggingIn{std::move(login)});
  deadline_ = login_deadline_;
  steer_front(now);
}

// ---- The mail server's members -------------------------------------------------------------------------------------

const std::string& Session::listener_pool() const {
  for (const std::string& name : listener().pools) {
    const Pool* const pool = setup_->pool(name);
    if (pool != nullptr && pool->options.dialect == dialect_) return name;
  }
  return listener().pool;
}

const Pool* Session::pool_of(const auth::Route& route) const {
  return setup_->pool(route.pool.empty() ? listener_pool() : route.pool);
}

const PoolView& Session::view(const Pool& pool) const {
  return view_in(pool, surroundings_.views.get());
}

const std::string& Session::back_user(const Login& login) const {
  return login.route.user.empty() ? login.credentials.user : login.route.user;
}

std::string_view Session::tls_version(const Login& login) const {
  return front_.channel ? front_.channel.version() : std::string_view(login.tls.version);
}

// Whether the gate can log in at the mail server with what it has; if not, says why.
bool Session::is_route_usable(const Login& login) {
  const protocol::Credentials& credentials = login.credentials;
  std::string_view why;
  const bool has_secret = !login.route.master_user.empty() || login.route.password || !credentials.password.empty();
  const bool needs_none =
      login.route.mechanism == "EXTERNAL" || (login.pool != nullptr && login.pool->options.xclient_login);
  if (credentials.user.empty() && login.route.user.empty()) {
    why = "the helper did not say who the user is, and nothing else does";
  } else if (!has_secret && !needs_none) {
    why = "this mechanism brings no password for the mail server: the helper must answer a master_user or a password";
  } else if (login.pool != nullptr && login.pool->options.dialect != dialect_ && login.route.backs.empty()) {
    why = "the pool that was named speaks another protocol";
  } else if (login.pool == nullptr) {
    why = "the helper named a pool that is not defined in the gate's configuration";
  }
  if (why.empty()) return true;
  log(Severity::Error, "route").add("user", credentials.user).add("pool", login.route.pool).say(why);
  return false;
}

void Session::choose_route(auth::Route route, Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  login.route = std::move(route);
  login.pool = pool_of(login.route);
  login.candidate = 0;
  // A helper that names every mail server by its address needs no pool: then the usual options hold.
  static const Pool usual;
  if (login.pool == nullptr && login.route.pool.empty() && !login.route.backs.empty()) login.pool = &usual;
  if (!is_route_usable(login)) return refuse({}, now);
  if (login.credentials.user.empty()) login.credentials.user = login.route.user;
  if (surroundings_.moves != nullptr) {
    const std::optional<Instant> until = surroundings_.moves->held_until(login.credentials.user, now);
    if (until) {
      login.held = true;
      deadline_ = std::min(login_deadline_, *until);
      trace("the user is moving to another mail server: the login waits", now);
      return;
    }
  }
  follow_route(now);
}

// The route is known and nothing keeps the user from it.
void Session::follow_route(Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  login.held = false;
  if (surroundings_.moves != nullptr) surroundings_.moves->lead(login.credentials.user, login.route);
  const std::string& user = back_user(login);
  const bool helper_says = login.route.sessions_max != 0;
  const uint32_t sessions_max = helper_says ? login.route.sessions_max : limits().sessions_per_user;
  if (sessions_max != 0) {
    if (!surroundings_.counts->take_user(user, sessions_max)) {
      return refuse({.cause = protocol::RefusalCause::Limit}, now,
                    absl::StrFormat("%s is %u", helper_says ? "the helper's sessions_max" : "limits.sessions_per_user",
                                    sessions_max));
    }
    login.counted_user = user;
  }
  login.candidates = login.route.backs.empty() ? choose_order(login.pool->options, view(*login.pool),
                                                              surroundings_.health, *surroundings_.counts, user, now)
                                               : surroundings_.health.order(login.route.backs, now);
  connect_next(now);
}

// Starts a connection to the present candidate, or gives up when there is none left.
void Session::connect_next(Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  const uint32_t sessions_max = login.pool->options.sessions_max;
  // A member that is full is passed over.
  while (login.candidate < login.candidates.size() &&
         !surroundings_.counts->take(login.candidates[login.candidate], sessions_max)) {
    login.candidate++;
  }
  if (login.candidate == login.candidates.size()) {
    const protocol::Refusal refusal = login.last_refusal.value_or(protocol::Refusal());
    return refuse(refusal, now);
  }
  back_endpoint_ = login.candidates[login.candidate];
  login.step_began = now;
  trace_route(login, now);
  holds_member_ = true;
  back_attempt_ = ++back_attempts_;
  back_.ended = false;
  deadline_ = std::min(login_deadline_, now + login.pool->options.connect_timeout);
}

void Session::connect_failed(ConnectFailure failure, Instant now) {
  if (!std::holds_alternative<Connecting>(state_)) return;
  // Lack of descriptors is our trouble, not the member's.
  member_failed(connect_word(failure), "", failure != ConnectFailure::NoDescriptor, now);
}

void Session::member_failed(const protocol::Failed& failed, Instant now) {
  member_failed(protocol::failure_word(failed.failure), failed.detail, protocol::concerns_every_login(failed.failure),
                now);
}

// This member did not give a verdict on the user; the next one may. `is_down`: later logins should ask it last.
void Session::member_failed(std::string_view why, std::string_view detail, bool is_down, Instant now) {
  std::unique_ptr<Login> login = take_login();
  surroundings_.counters.back_failures++;
  surroundings_.counters.measures.back_failures[why]++;
  const bool news = is_down && surroundings_.health.failed(back_endpoint_, login->pool->options.retry_after, now);
  LogLine& line = log(news ? Severity::Warning : Severity::Notice, "back-failed");
  line.add("back", back_endpoint_.text()).add("user", login->credentials.user).add("reason", why);
  if (!detail.empty()) line.say(detail);
  if (trace_ != nullptr) trace(absl::StrFormat("%s failed: %s. %s", back_endpoint_.text(), why, detail), now);
  login->candidate++;
  login->offers_session = true;
  connect_anew(std::move(login), now);
}

void Session::connect_anew(std::unique_ptr<Login> login, Instant now) {
  login->back.reset();
  drop_back();
  enter(Connecting{std::move(login)});
  connect_next(now);
}

// Lets go of the connection to the mail server; the next one begins without its TLS and its unsent bytes.
void Session::drop_back() {
  back_.out.drop_waiting(surroundings_.pool, true);
  back_.channel = tls::Channel();
  back_attempt_ = 0;
  if (std::exchange(holds_member_, false)) surroundings_.counts->release(back_endpoint_);
}

}  // namespace postern::session
