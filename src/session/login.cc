// SPDX-License-Identifier: GPL-3.0-or-later
// A session from its credentials to the relay: the helper's verdict, the mail server's members, the login there.
#include <algorithm>
#include <utility>

#include "base/check.h"
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

std::string_view protocol_word(Dialect dialect) {
  switch (dialect) {
    case Dialect::Imap: return "imap";
  }
  return {};
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
  if (setup_->mode == auth::Mode::Back) {
    enter(Connecting{std::move(login)});
    return choose_route({}, now);
  }
  auto question = std::make_unique<auth::Question>(make_question(*login));
  enter(Verifying{std::move(login), std::move(question)});
}

auth::Question Session::make_question(const Login& login) const {
  const protocol::Credentials& credentials = login.credentials;
  auth::Question question;
  question.protocol = protocol_word(listener().dialect);
  question.mechanism = protocol::mechanism_word(credentials.mechanism);
  question.user = credentials.user;
  question.authzid = credentials.authzid;
  question.password = credentials.password.clone();
  question.client = front_endpoint_;
  question.local = local_endpoint_;
  question.listener = listener().name;
  question.tls = front_.channel.version();
  question.sni = login.sni;
  question.session_id = id_text();
  return question;
}

void Session::answered(auth::Verdict verdict, Instant now) {
  auto* verifying = std::get_if<Verifying>(&state_);
  if (verifying == nullptr || verifying->question) return;
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
      .add("tls", front_.channel.version())
      .add("reason", refusal_word(refusal.cause));
  const std::string_view text = why.empty() ? std::string_view(refusal.text) : why;
  if (!text.empty()) line.say(text);
  login->back.reset();
  login->route = auth::Route();
  login->credentials = protocol::Credentials();
  drop_back();
  say(front_, login->front.rejected(refusal));
  enter(LoggingIn{std::move(login)});
  deadline_ = login_deadline_;
  steer_front(now);
}

// ---- The mail server's members -------------------------------------------------------------------------------------

const Pool* Session::pool() const {
  const std::string& named = std::get<Connecting>(state_).login->route.pool;
  return setup_->pool(named.empty() ? listener().pool : named);
}

void Session::choose_route(auth::Route route, Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  login.route = std::move(route);
  login.pool = pool();
  login.candidate = 0;
  login.candidates.clear();
  // A helper that names every mail server by its address needs no pool: then the usual options hold.
  static const Pool usual;
  if (login.pool == nullptr && login.route.pool.empty() && !login.route.backs.empty()) login.pool = &usual;
  if (login.pool == nullptr) {
    log(Severity::Error, "route")
        .add("user", login.credentials.user)
        .add("pool", login.route.pool)
        .say("the helper named a pool that is not defined in the gate's configuration");
    return refuse({}, now);
  }
  const std::vector<Endpoint>& members = login.route.backs.empty() ? login.pool->options.members : login.route.backs;
  login.candidates = surroundings_.health.order(members, now);
  connect_next(now);
}

// Starts a connection to the present candidate, or gives up when there is none left.
void Session::connect_next(Instant now) {
  Login& login = *std::get<Connecting>(state_).login;
  if (login.candidate == login.candidates.size()) {
    const protocol::Refusal refusal = login.last_refusal.value_or(protocol::Refusal());
    return refuse(refusal, now);
  }
  back_endpoint_ = login.candidates[login.candidate];
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

void Session::begin_back_login(Instant now) {
  Login& login = *std::get<LoggingInBack>(state_).login;
  protocol::BackLogin back_login;
  back_login.user = !login.route.user.empty() ? login.route.user : login.credentials.user;
  back_login.master = login.route.master_user;
  if (!back_login.master.empty()) {
    back_login.password = login.route.master_password.clone();
  } else {
    back_login.password = (login.route.password ? *login.route.password : login.credentials.password).clone();
  }
  if (login.route.mechanism == "LOGIN") back_login.mechanism = protocol::Mechanism::Login;
  if (login.route.mechanism == "PLAIN") back_login.mechanism = protocol::Mechanism::Plain;
  protocol::BackIdentity identity;
  identity.send = login.pool->options.send_id;
  identity.front_address = front_endpoint_.address_text();
  identity.front_port = front_endpoint_.port;
  identity.local_address = local_endpoint_.address_text();
  identity.local_port = local_endpoint_.port;
  identity.session_id = id_text();
  const auth::BackTls tls = back_tls();
  const auto plan = tls == auth::BackTls::StartTls ? protocol::BackTlsPlan::StartTls : protocol::BackTlsPlan::None;
  login.back = std::make_unique<imap::Back>(std::move(back_login), std::move(identity), plan);
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
  if (name.empty()) {
    member_failed("no-tls-name",
                  "TLS is asked for, but neither the pool's `tls_name` nor the helper's says which name the mail "
                  "server's certificate must bear",
                  false, now);
    return false;
  }
  back_.channel = tls::Channel::open_back(*login.pool->tls, name);
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
  member_failed(tls::failure_word(failure), detail, true, now);
}

void Session::take_back_login(std::span<const char> bytes, Instant now) {
  if (std::get<LoggingInBack>(state_).shaking_hands) {
    shake_back_hands(bytes, now);
    if (!std::holds_alternative<LoggingInBack>(state_) || std::get<LoggingInBack>(state_).shaking_hands) return;
  }
  imap::Back& back = *std::get<LoggingInBack>(state_).login->back;
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
  log(Severity::Info, "login")
      .add("user", login->credentials.user)
      .add("mechanism", protocol::mechanism_word(login->credentials.mechanism))
      .add("local", local_endpoint_.text())
      .add("back", back_endpoint_.text())
      .add("tls", front_.channel.version())
      .add("cipher", front_.channel.cipher())
      .add("listener", listener().name);
  Relaying relaying;
  relaying.user = std::move(login->credentials.user);
  say(front_, login->front.accepted(accepted));
  // What both sides sent behind the login belongs to the other side, and comes before anything newer.
  std::string from_front = login->front.take_unread();
  std::string from_back = login->back->take_unread();
  relaying.bytes_in = from_front.size();
  relaying.bytes_out = from_back.size();
  say(back_, from_front);
  say(front_, from_back);
  wipe(from_front);
  enter(std::move(relaying));
  setup_.reset();
  touch(now);
  // Either may have said its last during the login already.
  if (front_.ended) relay_ended(Side::Front, now);
  if (back_.ended) relay_ended(Side::Back, now);
}

}  // namespace postern::session
