// SPDX-License-Identifier: GPL-3.0-or-later
// Long streams between two plain sockets: socket to pipe to socket, inside the kernel. The bytes are waited for by a
// poll, moved into the lent pipe, then out of it; a stream that runs dry gives its pipe back.
#include <errno.h>

#include <utility>

#include "reactor/reactor.h"

namespace postern::reactor {

using session::Side;

namespace {

// So many full large receives make a long stream: 256 KiB.
constexpr uint8_t full_receives_min = 4;
// A move of less than this means that the stream has run dry.
constexpr int32_t move_size_min = 16 * 1024;

}  // namespace

bool Reactor::wants_splice(const Connection& connection, Side side) const {
  const Socket& socket = side == Side::Front ? connection.front : connection.back;
  return socket.full_in_a_row >= full_receives_min && connection.session->relays_plain();
}

// Takes a pipe and waits for bytes. False: none is to be had, the stream goes on through buffers.
bool Reactor::begin_splice(Connection& connection, Side from) {
  const std::optional<Pipe> pipe = pipes_.take();
  connection.socket(from).full_in_a_row = 0;
  if (!pipe) return false;
  connection.socket(from).splicing = true;
  splices_[splice_key(connection, from)] = Splice{*pipe, 0};
  await_splice(connection, from);
  return true;
}

void Reactor::await_splice(Connection& connection, Side from) {
  connection.socket(from).pending++;
  ring_->poll_readable(file(connection, from), tag(connection, from == Side::Front ? FrontReadable : BackReadable));
}

void Reactor::end_splice(Connection& connection, Side from) {
  const auto found = splices_.find(splice_key(connection, from));
  pipes_.give(found->second.pipe, found->second.in_pipe == 0);
  splices_.erase(found);
  connection.socket(from).splicing = false;
}

void Reactor::splice_readable(Connection& connection, Side from) {
  connection.socket(from).pending--;
  if (connection.step != Connection::Step::Alive) return settle(connection);
  const Splice& splice = splices_.at(splice_key(connection, from));
  connection.socket(from).pending++;
  ring_->splice(file(connection, from), {splice.pipe.write_end, false}, PipePool::pipe_size, false,
                tag(connection, from == Side::Front ? FrontFilled : BackFilled));
}

void Reactor::splice_filled(Connection& connection, Side from, const ring::Completion& completion) {
  connection.socket(from).pending--;
  if (connection.step != Connection::Step::Alive) return settle(connection);
  Splice& splice = splices_.at(splice_key(connection, from));
  if (completion.result > 0) {
    splice.in_pipe = static_cast<uint32_t>(completion.result);
    splice.last = completion.result < move_size_min;
    return drain_splice(connection, from);
  }
  if (completion.result == -EAGAIN || completion.result == -EINTR) return await_splice(connection, from);
  end_splice(connection, from);
  if (completion.result == 0) {
    connection.session->ended(from, now_);
  } else {
    connection.session->broke(from, now_);
  }
  settle(connection);
}

void Reactor::drain_splice(Connection& connection, Side from) {
  const Side to = from == Side::Front ? Side::Back : Side::Front;
  const Splice& splice = splices_.at(splice_key(connection, from));
  connection.socket(to).pending++;
  ring_->splice({splice.pipe.read_end, false}, file(connection, to), splice.in_pipe, true,
                tag(connection, from == Side::Front ? FrontDrained : BackDrained));
}

void Reactor::splice_drained(Connection& connection, Side from, const ring::Completion& completion) {
  const Side to = from == Side::Front ? Side::Back : Side::Front;
  connection.socket(to).pending--;
  if (connection.step != Connection::Step::Alive) return settle(connection);
  Splice& splice = splices_.at(splice_key(connection, from));
  if (completion.result <= 0 && completion.result != -EINTR && completion.result != -EAGAIN) {
    end_splice(connection, from);
    connection.session->broke(to, now_);
    return settle(connection);
  }
  if (completion.result > 0) {
    splice.in_pipe -= static_cast<uint32_t>(completion.result);
    spliced_bytes_ += static_cast<uint64_t>(completion.result);
    connection.session->passed(from, static_cast<size_t>(completion.result), now_);
  }
  if (splice.in_pipe != 0) return drain_splice(connection, from);
  if (!splice.last) return await_splice(connection, from);
  end_splice(connection, from);
  settle(connection);
}

}  // namespace postern::reactor
