// SPDX-License-Identifier: GPL-3.0-or-later
// A session from its credentials to the relay: the helper's verdict, the mail server's members, the login there.
#include <algorithm>
#include <utility>

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

std::string_view refusal_word(protocol::RefusalCause cause) {
  switch (cause) {
    case protocol::RefusalCause::Credentials: return "credentials";
    case protocol::RefusalCause::Unavailable: return "unavailable";
    case protocol::RefusalCause::NotAllowed: return "not-allowed";
    case protocol::RefusalCause::Limit: return "limit";
    case protocol::RefusalCause::Passed: return "passed";
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

// The login state's heavy half moves from one state to the next.
template <typename From>
std::unique_ptr<Login> take_login(State& state) {
  return std::move(std::get<From>(state).login);
}

}  // namespace

// ---- The verdict ---------------------------------------------------------------------------------------------------

void Session::begin_verifying(protocol::Credentials credentials, Instant now) {
  std::unique_ptr<Login> login = take_login<LoggingIn>(state_);
  login->credentials = std::move(credentials);
  login->last_refusal.reset();
  note_said(*login);
  const protocol::FrontSaid& said = login->front->heard();
  const bool is_loop = said.hops_left && *said.hops_left <= 1;
  if (is_loop || setup_->mode == auth::Mode::Back || protocol::is_scram(login->credentials.mechanism)) {
    const bool is_proof = protocol::is_scram(login->credentials.mechanism);
    enter(Connecting{std::move(login)});
    if (is_loop) return refuse({}, now, "too many proxies have passed this login on: they may be asking each other");
    return is_proof ? take_proof(now) : choose_route({}, now);
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
  if (verifying->login->wants_keys) return take_keys(std::move(verdict), now);
  if (auto* accept = std::get_if<auth::Accept>(&verdict)) {
    enter(Connecting{take_login<Verifying>(state_)});
    return choose_route(std::move(accept->route), now);
  }
  if (auto* reject = std::get_if<auth::Reject>(&verdict)) {
    const protocol::Refusal refusal = refusal_of(*reject);
    if (reject->delay <= Duration::zero()) return refuse(refusal, now);
    enter(Delaying{take_login<Verifying>(state_), std::make_unique<protocol::Refusal>(refusal)});
    deadline_ = std::min(login_deadline_, now + reject->delay);
    return;
  }
  // Why nobody knows is the operator's business; the user hears the dialect's own sentence.
  refuse({}, now, std::get<auth::NotNow>(verdict).text);
}

// ---- SCRAM: first the keys, then the proof, and only then the way to the mail server -------------------------------

void Session::ask_for_keys(const protocol::WantsKeys& wanted) {
  std::unique_ptr<Login> login = take_login<LoggingIn>(state_);
  login->credentials = protocol::Credentials{wanted.mechanism, wanted.user, {}, {}};
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
  std::unique_ptr<Login> login = take_login<Verifying>(state_);
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

void Session::take_proof(Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  if (login.credentials.proof_wrong || !login.scram_route) {
    auto refusal = std::make_unique<protocol::Refusal>();
    refusal->cause = protocol::RefusalCause::Credentials;
    enter(Delaying{take_login<Connecting>(state_), std::move(refusal)});
    deadline_ = std::min(login_deadline_, now + proof_delay);
    return;
  }
  auth::Route route = *std::exchange(login.scram_route, std::nullopt);
  choose_route(std::move(route), now);
}

// The attempt ends with a no; the mail program may try again.
void Session::refuse(const protocol::Refusal& refusal, Instant now, std::string_view why) {
  std::unique_ptr<Login> login = std::visit(
      [](auto& state) -> std::unique_ptr<Login> {
        if constexpr (requires { state.login; }) {
          return std::move(state.login);
        } else {
          return nullptr;
        }
      },
      state_);
  const bool temporary = refusal.cause == protocol::RefusalCause::Unavailable;
  (temporary ? surroundings_.counters.unavailable : surroundings_.counters.refused)++;
  LogLine& line = log(temporary ? Severity::Warning : Severity::Info, "login-failed");
  line.add("user", login->credentials.user)
      .add("mechanism", protocol::mechanism_word(login->credentials.mechanism))
      .add("protocol", protocol_word())
      .add("tls", tls_word())
      .add("reason", refusal_word(refusal.cause));
  const std::string_view text = why.empty() ? std::string_view(refusal.text) : why;
  if (!text.empty()) line.say(text);
  if (!login->counted_user.empty()) surroundings_.counts->release_user(std::exchange(login->counted_user, {}));
  login->back.reset();
  login->route = auth::Route();
  login->credentials = protocol::Credentials();
  drop_back();
  say(front_, login->front->rejected(refusal));
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
  if (surroundings_.views != nullptr) {
    const auto found = surroundings_.views->find(pool.options.name);
    if (found != surroundings_.views->end()) return found->second;
  }
  return pool.view;
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
  const std::string& user = back_user(login);
  if (login.route.sessions_max != 0) {
    if (!surroundings_.counts->take_user(user, login.route.sessions_max)) {
      return refuse({.cause = protocol::RefusalCause::Limit}, now);
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

// This member did not give a verdict on the user; the next one may. `is_down`: later logins should ask it last.
void Session::member_failed(std::string_view why, std::string_view detail, bool is_down, Instant now) {
  std::unique_ptr<Login> login =
      std::holds_alternative<Connecting>(state_) ? take_login<Connecting>(state_) : take_login<LoggingInBack>(state_);
  surroundings_.counters.back_failures++;
  const bool news = is_down && surroundings_.health.failed(back_endpoint_, login->pool->options.retry_after, now);
  LogLine& line = log(news ? Severity::Warning : Severity::Notice, "back-failed");
  line.add("back", back_endpoint_.text()).add("user", login->credentials.user).add("reason", why);
  if (!detail.empty()) line.say(detail);
  login->back.reset();
  login->candidate++;
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

// ---- The login at the mail server ----------------------------------------------------------------------------------

auth::BackTls Session::back_tls() const {
  const Login& login = *std::get<LoggingInBack>(state_).login;
  return login.route.tls.value_or(login.pool->options.tls);
}

void Session::connected(Instant now) {
  if (!std::holds_alternative<Connecting>(state_)) return;
  std::unique_ptr<Login> login = take_login<Connecting>(state_);
  deadline_ = std::min(login_deadline_, now + login->pool->options.login_timeout);
  enter(LoggingInBack{std::move(login)});
  begin_back_login(now);
}

protocol::BackLogin Session::back_login(const Login& login) const {
  const protocol::Credentials& credentials = login.credentials;
  protocol::BackLogin back;
  back.user = back_user(login);
  back.master = login.route.master_user;
  if (!login.route.mechanism.empty()) {
    back.mechanism =
        login.route.mechanism == "LOGIN" ? protocol::Mechanism::Login : protocol::sasl_mechanism(login.route.mechanism);
  }
  if (!back.master.empty()) {
    back.password = login.route.master_password.clone();
  } else if (login.route.password) {
    back.password = login.route.password->clone();
  } else {
    back.password = credentials.password.clone();
    // A token stays a token.
    if (protocol::is_token(credentials.mechanism) && !back.mechanism) back.mechanism = credentials.mechanism;
  }
  return back;
}

protocol::BackIdentity Session::identity(const Login& login) const {
  protocol::BackIdentity identity;
  identity.send = login.route.xclient.value_or(login.pool->options.send_id);
  identity.send_login = login.pool->options.xclient_login;
  identity.front_address = front_endpoint_.address_text();
  identity.front_port = front_endpoint_.port;
  identity.local_address = local_endpoint_.address_text();
  identity.local_port = local_endpoint_.port;
  identity.session_id = id_text();
  if (const auto hops_left = login.front->heard().hops_left) identity.hops_left = static_cast<uint8_t>(*hops_left - 1);
  identity.hostname = setup_->options.hostname;
  login.front->describe(identity);
  return identity;
}

// Before everything else, TLS included, and in one write.
void Session::say_proxy_header(const Login& login) {
  ProxyHeader version = login.pool->options.proxy_protocol;
  if (login.route.proxy_protocol == 1) version = ProxyHeader::V1;
  if (login.route.proxy_protocol == 2) version = ProxyHeader::V2;
  if (version == ProxyHeader::V1) {
    back_.out.append(surroundings_.pool, proxy_header::write_v1(front_endpoint_, local_endpoint_));
  } else if (version == ProxyHeader::V2) {
    proxy_header::Told told;
    told.sni = login.tls.sni;
    told.tls_version = tls_version(login);
    if (front_.channel) told.tls_cipher = front_.channel.cipher();
    told.user = back_user(login);
    told.session_id = id_text();
    back_.out.append(surroundings_.pool, proxy_header::write_v2(front_endpoint_, local_endpoint_, told));
  }
}

void Session::begin_back_login(Instant now) {
  Login& login = *std::get<LoggingInBack>(state_).login;
  say_proxy_header(login);
  const auth::BackTls tls = back_tls();
  const auto plan = tls == auth::BackTls::StartTls ? protocol::BackTlsPlan::StartTls : protocol::BackTlsPlan::None;
  login.back = make_back(dialect_, back_login(login), identity(login), plan);
  if (tls == auth::BackTls::Implicit && !start_back_tls(now)) return;
  steer_back(now);
}

// The mail server's certificate must verify and bear the configured name; nothing is said in clear in its place.
bool Session::start_back_tls(Instant now) {
  auto& state = std::get<LoggingInBack>(state_);
  const Login& login = *state.login;
  const std::string& name = login.route.tls_name.empty() ? login.pool->options.tls_name : login.route.tls_name;
  if (login.pool->tls == nullptr) {
    member_failed("no-tls-ca",
                  "the helper asks for TLS to this mail server, but the pool, which speaks in clear by itself, has no "
                  "`tls_ca` to verify it by",
                  false, now);
    return false;
  }
  if (name.empty() && login.pool->tls->pins().empty()) {
    member_failed("no-tls-name",
                  "TLS is asked for, but neither the pool's `tls_name` nor the helper's says which name the mail "
                  "server's certificate must bear",
                  false, now);
    return false;
  }
  const tls::BackSession former = surroundings_.back_sessions.take(*login.pool->tls, back_endpoint_.text(), name);
  back_.channel = tls::Channel::open_back(*login.pool->tls, name, former ? &former : nullptr);
  state.shaking_hands = true;
  if (back_.channel && back_.channel.shake_hands({}, back_.out, surroundings_.pool) != tls::Channel::Step::Failed)
    return true;
  back_tls_failed(now);
  return false;
}

void Session::back_tls_failed(Instant now) {
  const tls::Failure failure = back_.channel.failure();
  std::string_view detail = "the TLS handshake with the mail server failed";
  if (failure == tls::Failure::CertificateRefused)
    detail = "the mail server's certificate is not signed by a CA that the pool trusts (`tls_ca`), or has expired";
  if (failure == tls::Failure::WrongName)
    detail = "the mail server's certificate bears another name than the pool's `tls_name`";
  if (failure == tls::Failure::NotTls) detail = "the mail server does not speak TLS on this port";
  if (failure == tls::Failure::PinMismatch) detail = "the mail server's key is none of the pool's `tls_pins`";
  // It may have been the session that was offered.
  surroundings_.back_sessions.forget(back_endpoint_.text());
  member_failed(tls::failure_word(failure), detail, true, now);
}

void Session::take_back_login(std::span<const char> bytes, Instant now) {
  if (std::get<LoggingInBack>(state_).shaking_hands) {
    shake_back_hands(bytes, now);
    if (!std::holds_alternative<LoggingInBack>(state_) || std::get<LoggingInBack>(state_).shaking_hands) return;
  }
  protocol::Back& back = *std::get<LoggingInBack>(state_).login->back;
  if (!back_.channel) {
    back.feed({bytes.data(), bytes.size()});
    return steer_back(now);
  }
  BlockPool& pool = surroundings_.pool;
  while (std::optional<std::span<const char>> record = back_.channel.next_record(bytes)) {
    Block* block = pool.take(record->size());
    const tls::Channel::Read read = back_.channel.read(*record, {block->data(), block->capacity}, back_.out, pool);
    block->size = static_cast<uint32_t>(read.size);
    back.feed({block->data(), read.size});
    pool.give(block, true);
    if (read.kind == tls::Channel::Read::Kind::Closed) back_.ended = true;
    if (read.kind != tls::Channel::Read::Kind::Bytes) break;
  }
  if (back_.channel.failure() != tls::Failure::None) return back_tls_failed(now);
  steer_back(now);
}

void Session::shake_back_hands(std::span<const char>& bytes, Instant now) {
  auto& state = std::get<LoggingInBack>(state_);
  while (std::optional<std::span<const char>> record = back_.channel.next_record(bytes)) {
    const tls::Channel::Step step = back_.channel.shake_hands(*record, back_.out, surroundings_.pool);
    if (step == tls::Channel::Step::Failed) return back_tls_failed(now);
    if (step == tls::Channel::Step::NeedBytes) continue;
    state.shaking_hands = false;
    if (back_tls() == auth::BackTls::StartTls) state.login->back->tls_started();
    return steer_back(now);
  }
  if (back_.channel.failure() != tls::Failure::None) back_tls_failed(now);
}

void Session::steer_back(Instant now) {
  while (auto* state = std::get_if<LoggingInBack>(&state_)) {
    protocol::BackEvent event = state->login->back->next();
    if (auto* send = std::get_if<protocol::Send>(&event)) {
      say(back_, send->bytes.reveal());
    } else if (std::holds_alternative<protocol::TlsAgreed>(event)) {
      if (start_back_tls(now)) return;
    } else if (auto* in = std::get_if<protocol::LoggedIn>(&event)) {
      return begin_relay(in->accepted, now);
    } else if (auto* refused = std::get_if<protocol::Refused>(&event)) {
      if (refused->definitive) return refuse(refused->refusal, now);
      state->login->last_refusal = std::move(refused->refusal);
      return member_failed("refused", "the mail server cannot serve this user now", false, now);
    } else if (auto* failed = std::get_if<protocol::Failed>(&event)) {
      return member_failed(protocol::failure_word(failed->failure), failed->detail, true, now);
    } else {
      if (back_.ended) {
        const protocol::Failed closed = state->login->back->closed();
        member_failed(protocol::failure_word(closed.failure), closed.detail, true, now);
      }
      return;
    }
  }
}

void Session::begin_relay(const protocol::Accepted& accepted, Instant now) {
  const std::unique_ptr<Login> login = take_login<LoggingInBack>(state_);
  surroundings_.counters.logins++;
  if (surroundings_.health.served(back_endpoint_)) {
    log(Severity::Notice, "back-served").add("back", back_endpoint_.text());
  }
  LogLine& line = log(Severity::Info, "login");
  line.add("user", login->credentials.user)
      .add("mechanism", protocol::mechanism_word(login->credentials.mechanism))
      .add("protocol", protocol_word())
      .add("local", local_endpoint_.text())
      .add("back", back_endpoint_.text())
      .add("tls", tls_word());
  if (front_.channel) line.add("cipher", front_.channel.cipher());
  line.add("listener", listener().name);
  if (back_.channel) {
    surroundings_.back_sessions.keep(back_endpoint_.text(), back_.channel.take_session(*login->pool->tls));
  }
  Relaying relaying;
  relaying.user = std::move(login->credentials.user);
  if (dialect_ == Dialect::Submission || !login->counted_user.empty()) {
    relaying.extras = std::make_unique<Relaying::Extras>();
    if (dialect_ == Dialect::Submission) relaying.extras->filter.emplace(accepted.capability);
    relaying.extras->counted_user = std::exchange(login->counted_user, {});
  }
  say(front_, login->front->accepted(accepted));
  // What both sides sent behind the login belongs to the other side, and comes before anything newer.
  std::string from_front = login->front->take_unread();
  std::string from_back = login->back->take_unread();
  relaying.bytes_in = from_front.size();
  relaying.bytes_out = from_back.size();
  enter(std::move(relaying));
  if (filter() != nullptr) {
    // A failure shows at the next byte.
    (void)pass_filtered(Side::Front, from_front);
    (void)pass_filtered(Side::Back, from_back);
  } else {
    say(back_, from_front);
    say(front_, from_back);
  }
  wipe(from_front);
  setup_.reset();
  touch(now);
  // Either may have said its last during the login already.
  if (front_.ended) relay_ended(Side::Front, now);
  if (back_.ended) relay_ended(Side::Back, now);
}

}  // namespace postern::session
