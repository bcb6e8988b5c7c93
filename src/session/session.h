// SPDX-License-Identifier: GPL-3.0-or-later
// Session: one front connection with its back connection, from the first byte to the last.
//
// A session is pure: it knows no socket, no clock and no ring. Its reactor tells it what happened (the events below),
// then asks what it wants (plan(), outbox(), take_question()) and carries that out. Nothing calls back into it, and it
// never frees itself: when its plan says `close`, the reactor destroys it as soon as the kernel holds nothing of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "auth/question.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "base/outbox.h"
#include "base/packing.h"
#include "session/facts.h"
#include "session/plan.h"
#include "session/state.h"
#include "session/surroundings.h"
#include "tls/channel.h"

namespace postern::session {

// Why a session ended: the word in its last log line.
enum class EndReason : uint8_t {
  FrontClosed,  // the mail program hung up
  BackClosed,   // the mail server ended the session
  Logout,       // before login
  FrontReset,
  BackReset,
  FrontTls,  // the front's TLS broke or never came to be
  BackTls,
  BadCommands,
  LoginAttempts,
  TooLong,
  NotThisProtocol,
  ProxyHeader,
  ProxyTimeout,
  HandshakeTimeout,
  LoginTimeout,
  IdleTimeout,
  TurnedAway,  // at a limit; its line says which
  Drained,
  Kicked,  // by the administrator
};
std::string_view end_word(EndReason reason);

// Why a connection to a mail server did not come to be.
enum class ConnectFailure : uint8_t { Refused, Unreachable, TimedOut, NoDescriptor };

class Session {
 public:
  // `listener` is the index in the setup's list of listeners; `local` the address that the mail program connected to.
  // `over_limit`: the gate is full; the session only says so, where it can be said in clear, and ends.
  Session(Surroundings& surroundings, uint16_t listener, const Endpoint& front, const Endpoint& local, uint64_t id,
          bool over_limit, Instant now);
  // The relay that freeze() wrote, in this process or another one; it counts at its mail server and under its user from
  // now on. When `bytes` are none, or of another version, its plan is to close at once.
  Session(Surroundings& surroundings, std::string_view bytes);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Events. `bytes` are the caller's and only lent for the call.
  void received(Side side, std::span<const char> bytes, Instant now);
  // The peer's FIN: it sends no more.
  void ended(Side side, Instant now);
  // The reactor moved `size` bytes from this side to the other by itself; only while relays_plain().
  void passed(Side from, size_t size, Instant now);
  // The connection broke: reset, or a send failed.
  void broke(Side side, Instant now);
  // The side's outbox has been sent in full (Outbox::landed was called).
  void sent(Side side, Instant now);
  void connected(Instant now);
  void connect_failed(ConnectFailure failure, Instant now);
  void answered(auth::Verdict verdict, Instant now);
  // The plan's deadline has passed.
  void due(Instant now);
  // The gate is going down: sessions before login say goodbye, relays go on.
  void drain(Instant now);
  // The drain's time is over: a relay ends too.
  void stop(Instant now);
  // The administrator ends it.
  void kick(Instant now);

  // A relay as bytes, for a process that takes it over: all of it, unsent bytes and TLS keys too. Nothing may be in
  // flight. This session stays as it was, but only one of the two may go on. False: it is no relay, or its TLS cannot move.
  [[nodiscard]] bool freeze(Packer& out) const;

  // Wishes.
  Plan plan() const;
  Outbox& outbox(Side side) { return side == Side::Front ? front_.out : back_.out; }
  // Whether what is in flight and in the receive buffers may hold passwords, so that the reactor wipes them.
  bool holds_secrets() const { return !std::holds_alternative<Relaying>(state_); }
  // A relay without TLS on either side: its bytes need not be seen.
  bool relays_plain() const;
  // The question for the helper, once.
  std::optional<auth::Question> take_question();
  // Where to connect; valid while the plan has a back attempt.
  const Endpoint& back_endpoint() const { return back_endpoint_; }

  // A fresh random name for a session.
  static uint64_t make_id();
  uint64_t id() const { return id_; }
  // Sixteen hexadecimal digits: the session's name in every log line and for the helper and the mail server.
  std::string id_text() const { return text_of_id(id_); }
  Dialect dialect() const { return dialect_; }
  std::string_view state_name() const { return state_word(state_.index()); }
  bool relaying() const { return std::holds_alternative<Relaying>(state_); }
  Facts facts(Instant now) const;

 private:
  // One side of the session: what is to be sent, and its TLS, if any.
  struct Leg {
    Outbox out;
    tls::Channel channel;
    bool ended = false;  // the peer sends no more
  };

  // freezing.cc
  static bool freeze(const Leg& leg, Packer& out);
  bool thaw(Leg& leg, Unpacker& in, bool is_front);
  bool thaw(Unpacker& in);

  // The one setter of the state. It checks the move.
  void enter(State next);
  void set_state(State next);
  // Says the last words, if any, and closes. `reason` is the first one given; later ones are consequences.
  void finish(EndReason reason, Instant now, std::string_view last_words = {});
  // Closes without a word: the front is gone.
  void abandon(EndReason reason, Instant now);

  // handshake.cc
  void shake_hands(std::span<const char>& bytes, Instant now);
  bool make_channel(std::span<const char>& bytes, Instant now);
  bool handshake_stepped(tls::Channel::Step step, Instant now);
  void handshake_failed(tls::Failure failure, Instant now);
  FrontTlsFacts tls_facts(Handshaking& handshaking);
  // Which dialect the mail program asked for by ALPN; nothing: none that is served here.
  std::optional<Dialect> chosen_dialect(const tls::ClientHello& hello) const;

  // session.cc: the front until the relay.
  void begin(bool over_limit, Instant now);
  bool is_admitted(Instant now);
  void turn_away(Limit limit, Instant now);
  bool takes_words() const;
  void take_proxy_header(std::span<const char>& bytes, Instant now);
  void begin_front(FrontTlsFacts proxied, Instant now);
  void begin_login(bool after_starttls, FrontTlsFacts tls, Instant now);
  protocol::FrontOptions front_options(const FrontTlsFacts& tls) const;
  sasl::Means means(const FrontTlsFacts& tls) const;
  std::string learned() const;
  void take_front_plain(std::span<const char> bytes, Instant now);
  void steer_front(Instant now);
  void say(Leg& leg, std::string_view plain, Instant now);
  // As in the configuration and for the helper: "imap".
  std::string_view protocol_word() const { return dialect_word(dialect_); }
  Login* login();
  // Out of the present state, which must have one (CHECK): the login's heavy half moves from state to state.
  std::unique_ptr<Login> take_login();
  const Login* login() const { return const_cast<Session*>(this)->login(); }

  // login.cc: from the credentials to the mail server that is asked.
  void begin_verifying(protocol::Credentials credentials, Instant now);
  void ask_for_keys(const protocol::WantsKeys& wanted, Instant now);
  void take_keys(auth::Verdict verdict, Instant now);
  void take_proof(std::unique_ptr<Login> login, Instant now);
  void note_said(Login& login);
  bool is_route_usable(const Login& login);
  auth::Question make_question(const Login& login) const;
  void choose_route(auth::Route route, Instant now);
  void follow_route(Instant now);
  // Counted and logged, when it is known, which may be before the mail program hears of it.
  void note_refusal(const Login& login, const protocol::Refusal& refusal, std::string_view why = {});
  void note_unfinished_login();
  void note_refused_here(const protocol::RefusedHere& refused);
  LogLine& log_failed(std::string_view user, std::string_view mechanism, bool temporary, std::string_view reason);
  // `why`: for the log alone, in place of the refusal's text.
  void refuse(const protocol::Refusal& refusal, Instant now, std::string_view why = {});
  void connect_next(Instant now);
  void member_failed(std::string_view why, std::string_view detail, bool is_down, Instant now);
  void member_failed(const protocol::Failed& failed, Instant now);
  void connect_anew(std::unique_ptr<Login> login, Instant now);
  void drop_back();
  const Pool* pool_of(const auth::Route& route) const;
  const std::string& listener_pool() const;
  // What is known of the pool now; valid until the health checks' next word.
  const PoolView& view(const Pool& pool) const;
  // The user's name at the mail server.
  const std::string& back_user(const Login& login) const;
  // Of the mail program's TLS, here or at a load balancer; empty: there is none.
  std::string_view tls_version(const Login& login) const;
  // For the log: of the TLS that ends here.
  std::string_view tls_word() const { return front_.channel ? front_.channel.version() : std::string_view("none"); }
  void release_counts();

  // back_login.cc: from the connection to the relay.
  void begin_back_login(Instant now);
  bool start_back_tls(Instant now);
  void take_back_login(std::span<const char> bytes, Instant now);
  void shake_back_hands(std::span<const char>& bytes, Instant now);
  void back_tls_failed(Instant now);
  void back_closed(Instant now);
  bool repeats_handshake(Instant now);
  void steer_back(Instant now);
  bool looks_where_he_moves(const protocol::Refusal& refusal, Instant now);
  void begin_relay(const protocol::Accepted& accepted, Instant now);
  protocol::BackIdentity identity(const Login& login) const;
  protocol::BackLogin back_login(const Login& login) const;
  void say_proxy_header(const Login& login);
  auth::BackTls back_tls() const;

  // relay.cc
  void relay(Side from, std::span<const char> bytes, Instant now);
  bool pass(Leg& from, Leg& to, std::span<const char> bytes);
  bool pass_record(Leg& from, Leg& to, std::span<const char> record);
  void count(Side from, size_t size);
  Measures::OfDialect& measures() { return surroundings_.counters.measures.of(dialect_); }
  bool pass_filtered(Side from, std::string_view plain);
  smtp::RelayFilter* filter();
  const smtp::RelayFilter* filter() const { return const_cast<Session*>(this)->filter(); }
  void relay_ended(Side side, Instant now);
  void touch(Instant now);

  void settle_closing(Instant now);
  void log_end(Instant now);
  // tracing.cc: of a session that is traced; else nothing.
  void begin_trace(const Login& login, Instant now);
  void trace(Voice voice, std::string_view bytes, Instant now);
  void trace(std::string_view note, Instant now);
  void trace_user(const Login& login, Instant now);
  void trace_route(const Login& login, Instant now);
  void end_trace(std::string_view note, Instant now);
  void count(Timeout timeout) { surroundings_.counters.timeouts[static_cast<size_t>(timeout)]++; }
  LogLine& log(Severity severity, std::string_view event);
  const ListenerOptions& listener() const;
  const Limits& limits() const;

  Surroundings& surroundings_;
  std::shared_ptr<const Setup> setup_;  // let go when the relay begins
  std::unique_ptr<Trace> trace_;        // until the relay begins, while somebody traces
  State state_;
  Leg front_;
  Leg back_;
  Endpoint front_endpoint_;
  Endpoint local_endpoint_;
  Endpoint back_endpoint_;
  uint64_t id_;
  Admission::Share share_;
  Instant began_;
  Instant deadline_;
  Instant login_deadline_;  // the whole time before the relay
  uint32_t back_attempt_ = 0;
  uint32_t back_attempts_ = 0;  // made so far
  uint16_t listener_;
  Dialect dialect_;            // Alpn until the handshake has told
  bool holds_member_ = false;  // counted at back_endpoint_
  EndReason end_reason_ = EndReason::FrontClosed;
};

}  // namespace postern::session
