// SPDX-License-Identifier: GPL-3.0-or-later
// The relay: bytes in at one side, out at the other. No look-up, no allocation beyond lent blocks, no log line.
#include <algorithm>

#include "session/session.h"

namespace postern::session {
namespace {

// One side has hung up; the other one may finish its answer, but not hold the session for half an hour.
constexpr Duration half_closed_timeout = std::chrono::seconds(60);

}  // namespace

void Session::relay(Side from, std::span<const char> bytes, Instant now) {
  touch(now);
  if (from == Side::Front) {
    const bool whole = pass(front_, back_, bytes);
    if (!whole) return finish(EndReason::FrontTls, now);
    if (front_.ended) relay_ended(Side::Front, now);
    return;
  }
  const bool whole = pass(back_, front_, bytes);
  if (!whole) return finish(EndReason::BackTls, now);
  if (back_.ended) relay_ended(Side::Back, now);
}

void Session::passed(Side from, size_t size, Instant now) {
  if (!relaying()) return;
  count(from, size);
  touch(now);
}

void Session::count(Side from, size_t size) {
  auto& relaying = std::get<Relaying>(state_);
  const bool in = from == Side::Front;
  (in ? relaying.bytes_in : relaying.bytes_out) += size;
  (in ? surroundings_.counters.bytes_in : surroundings_.counters.bytes_out) += size;
}

// False when TLS broke on either side. A close_notify sets from.ended.
bool Session::pass(Leg& from, Leg& to, std::span<const char> bytes) {
  if (!from.channel) {
    count(&from == &front_ ? Side::Front : Side::Back, bytes.size());
    if (filter() != nullptr)
      return pass_filtered(&from == &front_ ? Side::Front : Side::Back, {bytes.data(), bytes.size()});
    if (to.channel) return to.channel.write({bytes.data(), bytes.size()}, to.out, surroundings_.pool);
    to.out.append(surroundings_.pool, {bytes.data(), bytes.size()});
    return true;
  }
  while (std::optional<std::span<const char>> record = from.channel.next_record(bytes)) {
    if (!pass_record(from, to, *record)) return false;
    if (from.ended) return true;
  }
  return from.channel.failure() == tls::Failure::None;
}

bool Session::pass_record(Leg& from, Leg& to, std::span<const char> record) {
  BlockPool& pool = surroundings_.pool;
  tls::Channel::Read read;
  bool passed = true;
  if (!to.channel && filter() == nullptr) {
    // Straight into what will be sent.
    read = from.channel.read(record, to.out.reserve(pool, record.size()), from.out, pool);
    to.out.commit(read.size);
    to.out.settle(pool);
  } else {
    Block* block = pool.take(record.size());
    read = from.channel.read(record, {block->data(), block->capacity}, from.out, pool);
    const std::string_view plain(block->data(), read.size);
    if (read.size != 0)
      passed = filter() != nullptr ? pass_filtered(&from == &front_ ? Side::Front : Side::Back, plain)
                                   : to.channel.write(plain, to.out, pool);
    pool.give(block, false);
  }
  count(&from == &front_ ? Side::Front : Side::Back, read.size);
  if (read.kind == tls::Channel::Read::Kind::Closed) from.ended = true;
  return passed && read.kind != tls::Channel::Read::Kind::Failed;
}

smtp::RelayFilter* Session::filter() {
  auto* relaying = std::get_if<Relaying>(&state_);
  if (relaying == nullptr || relaying->extras == nullptr || !relaying->extras->filter) return nullptr;
  return &*relaying->extras->filter;
}

bool Session::relays_plain() const {
  return relaying() && !front_.channel && !back_.channel && filter() == nullptr;
}

// Submission: commands and replies are looked at, mail is not.
bool Session::pass_filtered(Side from, std::string_view plain) {
  std::string to_front, to_back;
  if (from == Side::Front) {
    filter()->from_front(plain, to_back);
  } else {
    filter()->from_back(plain, to_front, to_back);
  }
  const auto send = [&](Leg& leg, std::string_view bytes) {
    if (bytes.empty()) return true;
    if (leg.channel) return leg.channel.write(bytes, leg.out, surroundings_.pool);
    leg.out.append(surroundings_.pool, bytes);
    return true;
  };
  const bool front_sent = send(front_, to_front);
  return send(back_, to_back) && front_sent;
}

void Session::touch(Instant now) {
  const Duration idle_timeout = surroundings_.setup->options.limits.idle_timeout;
  deadline_ = now + (front_.ended ? std::min(half_closed_timeout, idle_timeout) : idle_timeout);
}

void Session::relay_ended(Side side, Instant now) {
  // The mail server has said its last: send it on, say close_notify, and go. What the mail program still has to say
  // nobody would hear.
  if (side == Side::Back) return finish(front_.ended ? EndReason::FrontClosed : EndReason::BackClosed, now);
  // The mail program has said its last, but may wait for answers: the mail server gets the end and goes on.
  if (back_.channel) back_.channel.close(back_.out, surroundings_.pool);
  touch(now);
}

}  // namespace postern::session
