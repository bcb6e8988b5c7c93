// SPDX-License-Identifier: GPL-3.0-or-later
// Connections: what the kernel reports becomes a session's event, what the session plans becomes submissions.
#include <errno.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "reactor/reactor.h"

namespace postern::reactor {

using session::Side;

namespace {

session::ConnectFailure connect_failure(int error) {
  switch (error) {
    case ECONNREFUSED: return session::ConnectFailure::Refused;
    case ETIMEDOUT: return session::ConnectFailure::TimedOut;
    case ECANCELED:  // an earlier step of the chain failed: no socket
    case EBADF:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS: return session::ConnectFailure::NoDescriptor;
    default: return session::ConnectFailure::Unreachable;
  }
}

}  // namespace

ring::Tag Reactor::tag(const Connection& connection, Operation operation) const {
  return {operation, connection.index, connection.generation};
}

ring::File Reactor::file(const Connection& connection, Side side) const {
  return {static_cast<int>(side == Side::Front ? connection.index : back_place(connection)), true};
}

// ---- The beginning -------------------------------------------------------------------------------------------------

void Reactor::begin_naming(uint32_t place, uint32_t listening) {
  Connection& connection = connections_.create(place, ++next_generation_);
  connection.listener = static_cast<uint16_t>(listening);
  if (connections_.live() + accept_margin >= options_.sessions_max) pause_accepting();
  connection.peer = std::make_unique<sockaddr_storage>();
  const bool v6 = listening_[listening].local.v6;
  connection.front.pending++;
  ring_->get_peer(place, connection.peer.get(), v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in),
                  tag(connection, Named));
}

void Reactor::named(Connection& connection, const ring::Completion& completion) {
  connection.front.pending--;
  const std::unique_ptr<sockaddr_storage> peer = std::move(connection.peer);
  std::optional<Endpoint> endpoint;
  if (completion.result > 0) {
    endpoint = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(peer.get()),
                                       static_cast<socklen_t>(completion.result));
  }
  // Without a peer the connection was reset in the meantime.
  if (!endpoint) return begin_closing(connection);
  begin_session(connection, *endpoint);
}

void Reactor::begin_session(Connection& connection, const Endpoint& peer) {
  const ListeningSocket& socket = listening_[connection.listener];
  connection.front.open = true;
  // The listener went while this connection came. Where another process listens on, the mail program must not notice.
  if (socket.fd < 0 && !serves_last_comers_) return begin_closing(connection);
  const uint32_t limit = surroundings_.setup->options.limits.sessions;
  const bool over_limit = shared_.sessions.fetch_add(1, std::memory_order_relaxed) >= limit;
  connection.step = Connection::Step::Alive;
  connection.session.emplace(surroundings_, socket.listener, peer, socket.local, session::Session::make_id(),
                             over_limit, now_);
  settle(connection);
}

// ---- Bytes ---------------------------------------------------------------------------------------------------------

void Reactor::received(Connection& connection, Side side, const ring::Completion& completion) {
  Socket& socket = connection.socket(side);
  socket.pending--;
  socket.receiving = false;
  socket.more_waits = completion.more_waits();
  ring::BufferGroup& buffers = socket.bulk ? *large_ : *small_;
  const bool listened = connection.step == Connection::Step::Alive &&
                        (side == Side::Front || connection.back_step == Connection::BackStep::Open);
  if (completion.result > 0) {
    const std::span<char> bytes = buffers.bytes(completion.buffer(), static_cast<size_t>(completion.result));
    if (listened) {
      const bool secret = connection.session->holds_secrets();
      connection.session->received(side, bytes, now_);
      if (secret) wipe(bytes.data(), bytes.size());
    }
    const bool full = bytes.size() == buffers.buffer_size();
    socket.full_in_a_row = socket.bulk && full ? static_cast<uint8_t>(std::min(socket.full_in_a_row + 1, 255)) : 0;
    socket.bulk = bytes.size() >= small_->buffer_size();
  } else if (listened && completion.result == 0) {
    connection.session->ended(side, now_);
  } else if (listened && completion.result != -ENOBUFS && completion.result != -EAGAIN) {
    connection.session->broke(side, now_);
  }
  if (completion.has_buffer()) buffers.give_back(completion.buffer());
  settle(connection);
}

void Reactor::sent(Connection& connection, Side side, const ring::Completion& completion) {
  Socket& socket = connection.socket(side);
  socket.pending--;
  socket.sending = false;
  session::Session& session = *connection.session;
  Outbox& outbox = session.outbox(side);
  const bool whole = completion.result >= 0 && static_cast<size_t>(completion.result) == outbox.flying_size();
  outbox.landed(surroundings_.pool, session.holds_secrets());
  const bool listened = connection.step == Connection::Step::Alive &&
                        (side == Side::Front || connection.back_step == Connection::BackStep::Open);
  if (listened) {
    // With MSG_WAITALL a short count means that the peer has gone.
    if (whole) {
      session.sent(side, now_);
    } else {
      session.broke(side, now_);
    }
  }
  settle(connection);
}

// ---- The session's plan --------------------------------------------------------------------------------------------

void Reactor::settle(Connection& connection) {
  if (connection.step != Connection::Step::Alive) return continue_closing(connection);
  session::Session& session = *connection.session;
  const uint64_t ticket = uint64_t{connection.index} << 32 | connection.generation;
  while (std::optional<auth::Question> question = session.take_question()) {
    std::optional<auth::Verdict> verdict = desk_.ask(*question, ticket, now_);
    if (verdict) session.answered(std::move(*verdict), now_);
  }
  const session::Plan plan = session.plan();
  if (plan.close) return begin_closing(connection);
  settle_back(connection, plan);
  carry(connection, Side::Front, plan.receive_front, plan.finish_front);
  carry(connection, Side::Back, plan.receive_back, plan.finish_back);
  if (plan.deadline < connection.wheel_due) {
    connection.wheel_due = plan.deadline;
    wheel_.add({connection.index, connection.generation}, plan.deadline);
  }
}

void Reactor::carry(Connection& connection, Side side, bool receive, bool finish) {
  if (side == Side::Back && connection.back_step != Connection::BackStep::Open) return;
  Socket& socket = connection.socket(side);
  Outbox& outbox = connection.session->outbox(side);
  const bool front = side == Side::Front;
  if (!socket.sending && outbox.waiting_size() != 0) {
    socket.sending = true;
    socket.pending++;
    ring_->send(file(connection, side), outbox.launch(), tag(connection, front ? FrontSent : BackSent));
  }
  if (finish && !socket.finishing && outbox.idle()) {
    socket.finishing = true;
    socket.pending++;
    ring_->shut_down_sending(file(connection, side), tag(connection, front ? FrontFinished : BackFinished));
  }
  if (!receive || socket.receiving || socket.splicing) return;
  if (wants_splice(connection, side)) {
    // What went through buffers must be out before the pipe's bytes.
    if (!connection.session->outbox(front ? Side::Back : Side::Front).idle()) return;
    if (begin_splice(connection, side)) return;
  }
  socket.receiving = true;
  socket.pending++;
  const uint16_t group = (socket.bulk ? large_ : small_)->group();
  ring_->receive(file(connection, side), group, !socket.more_waits,
                 tag(connection, front ? FrontReceived : BackReceived));
}

// Closes a connection to a mail server that is not wanted any more, then opens the one that is.
void Reactor::settle_back(Connection& connection, const session::Plan& plan) {
  if (plan.back_attempt == connection.back_attempt) return;
  switch (connection.back_step) {
    case Connection::BackStep::Connecting:
    case Connection::BackStep::Open:
      connection.back_step = Connection::BackStep::Cancelling;
      if (connection.back.pending != 0) ring_->cancel_all(back_place(connection), {Ignored, 0, 0});
      [[fallthrough]];
    case Connection::BackStep::Cancelling:
      if (connection.back.pending != 0) return;
      connection.back_step = Connection::BackStep::Closing;
      return ring_->close(back_place(connection), tag(connection, BackClosed));
    case Connection::BackStep::Closing: return;
    case Connection::BackStep::None: break;
  }
  connection.back_attempt = plan.back_attempt;
  if (plan.back_attempt == 0) return;
  sockaddr_storage& address = connect_addresses_.emplace_back();
  const socklen_t size = connection.session->back_endpoint().to_sockaddr(address);
  connection.back = Socket();
  connection.back.pending++;
  connection.back_step = Connection::BackStep::Connecting;
  ring_->connect_at(back_place(connection), address, size, tag(connection, BackConnected), tag(connection, BackSetUp));
}

void Reactor::back_connected(Connection& connection, const ring::Completion& completion) {
  connection.back.pending--;
  if (connection.step == Connection::Step::Alive && connection.back_step == Connection::BackStep::Connecting) {
    if (completion.result == 0) {
      connection.back_step = Connection::BackStep::Open;
      connection.back.open = true;
      connection.session->connected(now_);
    } else {
      connection.session->connect_failed(connect_failure(-completion.result), now_);
    }
  }
  settle(connection);
}

void Reactor::back_closed(Connection& connection) {
  connection.back_step = Connection::BackStep::None;
  // The chain that closes both places goes on with the front's.
  if (connection.step == Connection::Step::Closing) return;
  settle(connection);
}

// ---- The end -------------------------------------------------------------------------------------------------------

void Reactor::begin_closing(Connection& connection) {
  desk_.forget(uint64_t{connection.index} << 32 | connection.generation);
  connection.step = Connection::Step::Cancelling;
  if (connection.front.pending != 0) ring_->cancel_all(connection.index, {Ignored, 0, 0});
  if (connection.back.pending != 0 && connection.back_step != Connection::BackStep::Cancelling) {
    ring_->cancel_all(back_place(connection), {Ignored, 0, 0});
  }
  continue_closing(connection);
}

// Frees the places once nothing is under way on them. The front's goes last: its number is the session's index, and the
// kernel may give it to a new connection at once.
void Reactor::continue_closing(Connection& connection) {
  if (connection.step != Connection::Step::Cancelling) return;
  if (connection.front.pending != 0 || connection.back.pending != 0) return;
  if (connection.back_step == Connection::BackStep::Closing) return;  // its completion comes back here
  connection.step = Connection::Step::Closing;
  if (connection.back_step == Connection::BackStep::None) {
    return ring_->close(connection.index, tag(connection, FrontClosed));
  }
  connection.back_step = Connection::BackStep::Closing;
  ring_->close_in_order(back_place(connection), tag(connection, BackClosed), connection.index,
                        tag(connection, FrontClosed));
}

void Reactor::closed(Connection& connection) {
  if (connection.session) shared_.sessions.fetch_sub(1, std::memory_order_relaxed);
  if (connection.front.splicing) end_splice(connection, Side::Front);
  if (connection.back.splicing) end_splice(connection, Side::Back);
  connections_.destroy(connection);
  if (!accepting_ && accept_again_ == instant_never &&
      connections_.live() + 2 * accept_margin < options_.sessions_max) {
    resume_accepting();
  }
}

void Reactor::expire(TimerWheel::Entry entry) {
  Connection* const connection = connections_.find(entry.index, entry.generation);
  if (connection == nullptr || connection->step != Connection::Step::Alive || now_ < connection->wheel_due) return;
  connection->wheel_due = instant_never;
  connection->session->due(now_);
  settle(*connection);
}

}  // namespace postern::reactor
