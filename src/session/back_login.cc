// SPDX-License-Identifier: GPL-3.0-or-later
// A session from its connection to a mail server to the relay: PROXY header, TLS, the login there.
#include <algorithm>
#include <utility>

#include "protocol/proxy_header/writer.h"
#include "session/back_tls.h"
#include "session/dialects.h"
#include "session/session.h"

namespace postern::session {
namespace {

// What a mail server does right or wrong with a session or without.
bool is_session_blameless(tls::Failure failure) {
  return failure == tls::Failure::NotTls || failure == tls::Failure::CertificateRefused ||
         failure == tls::Failure::WrongName || failure == tls::Failure::PinMismatch;
}

}  // namespace

auth::BackTls Session::back_tls() const {
  const Login& login = *std::get<LoggingInBack>(state_).login;
  return login.route.tls.value_or(login.pool->options.tls);
}

void Session::connected(Instant now) {
  if (!std::holds_alternative<Connecting>(state_)) return;
  std::unique_ptr<Login> login = take_login();
  measures().back_connect.note(login->step_began, now);
  login->step_began = now;
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
  trace("connected to " + back_endpoint_.text(), now);
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
  tls::BackSession former;
  if (login.offers_session) former = surroundings_.back_sessions.take(*login.pool->tls, back_endpoint_.text(), name);
  state.session_offered = static_cast<bool>(former);
  back_.channel = tls::Channel::open_back(*login.pool->tls, name, former ? &former : nullptr);
  state.shaking_hands = true;
  if (back_.channel && back_.channel.shake_hands({}, back_.out, surroundings_.pool) != tls::Channel::Step::Failed)
    return true;
  back_tls_failed(now);
  return false;
}

void Session::back_closed(Instant now) {
  if (!repeats_handshake(now)) member_failed(std::get<LoggingInBack>(state_).login->back->closed(), now);
}

// A mail server that chokes on a session of its own (a cluster with keys of its own each, a restart in between) may do
// well without. It is asked once more, and only once.
bool Session::repeats_handshake(Instant now) {
  auto& state = std::get<LoggingInBack>(state_);
  if (!state.shaking_hands || !state.session_offered || is_session_blameless(back_.channel.failure())) return false;
  surroundings_.back_sessions.forget(back_endpoint_.text());
  log(Severity::Notice, "back-session-refused").add("back", back_endpoint_.text());
  std::unique_ptr<Login> login = take_login();
  login->offers_session = false;
  connect_anew(std::move(login), now);
  return true;
}

void Session::back_tls_failed(Instant now) {
  if (repeats_handshake(now)) return;
  const tls::Failure failure = back_.channel.failure();
  member_failed(tls::failure_word(failure), back_tls_sentence(failure), true, now);
}

void Session::take_back_login(std::span<const char> bytes, Instant now) {
  if (std::get<LoggingInBack>(state_).shaking_hands) {
    shake_back_hands(bytes, now);
    if (!std::holds_alternative<LoggingInBack>(state_) || std::get<LoggingInBack>(state_).shaking_hands) return;
  }
  protocol::Back& back = *std::get<LoggingInBack>(state_).login->back;
  if (!back_.channel) {
    trace(Voice::ServerToGate, {bytes.data(), bytes.size()}, now);
    back.feed({bytes.data(), bytes.size()});
    return steer_back(now);
  }
  const auto feed = [&](std::string_view plain) {
    trace(Voice::ServerToGate, plain, now);
    back.feed(plain);
  };
  if (back_.channel.read_all(bytes, back_.out, surroundings_.pool, feed)) back_.ended = true;
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
      say(back_, send->bytes.reveal(), now);
    } else if (std::holds_alternative<protocol::TlsAgreed>(event)) {
      if (start_back_tls(now)) return;
    } else if (auto* in = std::get_if<protocol::LoggedIn>(&event)) {
      return begin_relay(in->accepted, now);
    } else if (auto* refused = std::get_if<protocol::Refused>(&event)) {
      if (refused->definitive && looks_where_he_moves(refused->refusal, now)) return;
      if (refused->definitive) return refuse(refused->refusal, now);
      state->login->last_refusal = std::move(refused->refusal);
      return member_failed("refused", "the mail server cannot serve this user now", false, now);
    } else if (auto* failed = std::get_if<protocol::Failed>(&event)) {
      return member_failed(*failed, now);
    } else {
      if (back_.ended) {
        back_closed(now);
      }
      return;
    }
  }
}

// A user who is being moved may be gone from here already: then a no about him is not the last word, and the mail server
// that he moves to has it. One that cannot be reached says nothing of the kind: a stranger's empty mailbox in place of
// his own would be worse than to wait.
bool Session::looks_where_he_moves(const protocol::Refusal& refusal, Instant now) {
  const auth::Route& route = std::get<LoggingInBack>(state_).login->route;
  const bool is_about_him =
      refusal.cause == protocol::RefusalCause::Credentials || refusal.code == "AUTHORIZATIONFAILED";
  if (!route.moving_to || !is_about_him) return false;
  std::unique_ptr<Login> login = take_login();
  log(Severity::Info, "back-moving")
      .add("user", login->credentials.user)
      .add("back", back_endpoint_.text())
      .add("moving_to", login->route.moving_to->text());
  login->candidates = {*std::exchange(login->route.moving_to, std::nullopt)};
  login->candidate = 0;
  if (!login->route.moving_to_tls_name.empty()) login->route.tls_name = std::move(login->route.moving_to_tls_name);
  login->offers_session = true;
  connect_anew(std::move(login), now);
  return true;
}

void Session::begin_relay(const protocol::Accepted& accepted, Instant now) {
  const std::unique_ptr<Login> login = take_login();
  surroundings_.counters.logins++;
  measures().back_login.note(login->step_began, now);
  measures().login.note(login->began, now);
  measures().accepted[static_cast<size_t>(login->credentials.mechanism)]++;
  surroundings_.admission->logged_in(share_);
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
  say(front_, login->front->accepted(accepted), now);
  // What both sides sent behind the login belongs to the other side, and comes before anything newer.
  std::string from_front = login->front->take_unread();
  std::string from_back = login->back->take_unread();
  end_trace("the relay begins", now);
  enter(std::move(relaying));
  count(Side::Front, from_front.size());
  count(Side::Back, from_back.size());
  if (filter() != nullptr) {
    // A failure shows at the next byte.
    (void)pass_filtered(Side::Front, from_front);
    (void)pass_filtered(Side::Back, from_back);
  } else {
    say(back_, from_front, now);
    say(front_, from_back, now);
  }
  wipe(from_front);
  setup_.reset();
  touch(now);
  // Either may have said its last during the login already.
  if (front_.ended) relay_ended(Side::Front, now);
  if (back_.ended) relay_ended(Side::Back, now);
}

}  // namespace postern::session
