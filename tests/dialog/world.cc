// SPDX-License-Identifier: GPL-3.0-or-later
#include "world.h"

#include <algorithm>
#include <utility>

#include "base/secret.h"
#include "tls/digest.h"

namespace postern::dialog {

namespace {

// The reactor's two kinds of receive buffers.
constexpr size_t small_receive = 2048;
constexpr size_t large_receive = 64 * 1024;

// Nothing that a dialog does takes more steps than this; a gate that does not come to rest does.
constexpr size_t steps_max = 50'000'000;

auth::KeyedHash keyed_hash() {
  return [](std::string_view bytes) { return tls::hmac_sha256("a dialog's key", bytes); };
}

}  // namespace

World::World(const Start& start, const Dialog& dialog, Cutter& cutter)
    : dialog_(dialog),
      cutter_(cutter),
      // Any moment; not the clock's zero, so that a forgotten one shows.
      now_(Instant(std::chrono::hours(1000))),
      auth_(start.auth),
      cache_(auth_.cache, keyed_hash()),
      desk_(auth_, cache_),
      helper_(cutter, !dialog.helper_away, dialog.helper_hello) {
  surroundings_.setup = start.setup;
  settle();
}

World::~World() = default;

End* World::connect(const std::string& listener, const Endpoint& from) {
  if (draining_) return nullptr;
  const auto& listeners = surroundings_.setup->options.listeners;
  const auto found = std::find_if(listeners.begin(), listeners.end(),
                                  [&](const session::ListenerOptions& one) { return one.name == listener; });
  if (found == listeners.end()) return nullptr;
  const bool over_limit = places_.size() >= surroundings_.setup->options.limits.sessions;
  auto& place = *places_.emplace_back(std::make_unique<Place>());
  place.ticket = next_id_;
  place.front.end = &fronts_.emplace_back(Side::Front, from, cutter_);
  place.session.emplace(surroundings_, static_cast<uint16_t>(found - listeners.begin()), from, found->addresses.front(),
                        next_id_++, over_limit, now_);
  End* const end = place.front.end;
  settle();  // the session may be turned away, and its place gone
  return end;
}

void World::settle() {
  size_t steps = 0;
  for (bool moved = true; moved;) {
    moved = serve_desk();
    for (size_t i = 0; i < places_.size(); ++i)
      moved |= step(*places_[i]);
    std::erase_if(places_, [](const std::unique_ptr<Place>& place) { return place->over; });
    lent_peak_ = std::max(lent_peak_, surroundings_.pool.lent());
    if (++steps > steps_max) throw Fault(0, "the gate does not come to rest");
  }
}

Instant World::next_deadline() const {
  Instant next = drain_until_;
  if (auth_.mode == auth::Mode::Helper) next = std::min(next, desk_.next_deadline());
  for (const auto& place : places_)
    next = std::min(next, place->session->plan().deadline);
  return next;
}

bool World::pass_to_next(Instant limit) {
  const Instant next = next_deadline();
  if (next > limit) return false;
  now_ = std::max(now_, next);
  if (now_ >= drain_until_) {
    drain_until_ = instant_never;
    for (const auto& place : places_)
      place->session->stop(now_);
  }
  for (const auto& place : places_) {
    if (place->session->plan().deadline <= now_) place->session->due(now_);
  }
  if (auth_.mode == auth::Mode::Helper && desk_.next_deadline() <= now_) desk_.on_time(now_);
  settle();
  return true;
}

void World::pass(Duration time) {
  const Instant until = now_ + time;
  size_t steps = 0;
  while (pass_to_next(until)) {
    if (++steps > 100'000) throw Fault(0, "the gate's timers do not come to rest");
  }
  now_ = until;
  settle();
}

void World::drain(Duration timeout) {
  draining_ = true;
  drain_until_ = now_ + timeout;
  for (const auto& place : places_)
    place->session->drain(now_);
  settle();
}

const std::vector<std::string>& World::log() {
  while (std::optional<LogLine> line = desk_.next_log())
    log_.push_back(line->text());
  for (const LogLine& line : surroundings_.logs)
    log_.push_back(line.text());
  surroundings_.logs.clear();
  return log_;
}

// ---- A session's plan, carried out ---------------------------------------------------------------------------------

bool World::step(Place& place) {
  const bool moved = step_session(place);
  // Every other time: what is launched would come back before it was delivered.
  if (moved && cutter_.moves() && !place.over && place.session->relaying() && ++steps_ % 2 == 0) move(place);
  return moved;
}

bool World::step_session(Place& place) {
  session::Session& session = *place.session;
  bool moved = false;
  while (std::optional<auth::Question> question = session.take_question()) {
    moved = true;
    std::optional<auth::Verdict> verdict = desk_.ask(*question, place.ticket, now_);
    if (verdict) session.answered(std::move(*verdict), now_);
  }
  const session::Plan plan = session.plan();
  if (plan.close) {
    forget(place);
    return true;
  }
  // After each thing that happens the session is asked again.
  if (moved || step_back(place, plan)) return true;
  if (step_socket(place, Side::Front, plan.receive_front, plan.finish_front)) return true;
  return step_socket(place, Side::Back, plan.receive_back, plan.finish_back);
}

bool World::step_back(Place& place, const session::Plan& plan) {
  if (plan.back_attempt == place.back_attempt) return false;
  Socket& socket = place.back;
  if (socket.sending) {
    // The kernel lets go of the block before the socket is closed.
    socket.sending = false;
    place.session->outbox(Side::Back).landed(surroundings_.pool, place.session->holds_secrets());
  }
  if (socket.end != nullptr) socket.end->deliver_gone();
  socket = Socket();
  place.back_attempt = plan.back_attempt;
  if (plan.back_attempt == 0) return true;
  const Endpoint endpoint = place.session->back_endpoint();
  switch (temper_of(endpoint)) {
    case BackTemper::Silent: break;
    case BackTemper::Refuses: place.session->connect_failed(session::ConnectFailure::Refused, now_); break;
    case BackTemper::Accepts:
      socket.end = &backs_.emplace_back(Side::Back, endpoint, cutter_);
      place.session->connected(now_);
      break;
  }
  return true;
}

BackTemper World::temper_of(const Endpoint& endpoint) const {
  const auto found = dialog_.backs.find(endpoint.address_text());
  if (found != dialog_.backs.end()) return found->second;
  const std::string address = endpoint.address_text();
  return address.starts_with("127.0.1.") || address == "::1" ? BackTemper::Accepts : BackTemper::Refuses;
}

bool World::step_socket(Place& place, Side side, bool receiving, bool finishing) {
  Socket& socket = side == Side::Front ? place.front : place.back;
  if (socket.end == nullptr) return false;
  bool moved = send(place, side);
  // What was sent may have ended the session or the connection.
  if (moved) return true;
  Outbox& outbox = place.session->outbox(side);
  if (finishing && !socket.finished && outbox.idle()) {
    socket.finished = true;
    socket.end->deliver_end();
    moved = true;
  }
  return (receiving && receive(place, side)) || moved;
}

// A block is in flight from one step to a later one, as it is in the kernel's hands from one turn to another.
bool World::send(Place& place, Side side) {
  Socket& socket = side == Side::Front ? place.front : place.back;
  session::Session& session = *place.session;
  Outbox& outbox = session.outbox(side);
  if (!socket.sending) {
    if (outbox.waiting_size() == 0) return false;
    const std::span<const char> bytes = outbox.launch();
    socket.flying = {bytes.data(), bytes.size()};
    socket.sending = true;
    return true;
  }
  const size_t size = socket.end->deliver(socket.flying);
  socket.flying.remove_prefix(size);
  if (!socket.flying.empty()) return size != 0;
  socket.sending = false;
  outbox.landed(surroundings_.pool, session.holds_secrets());
  session.sent(side, now_);
  return true;
}

bool World::receive(Place& place, Side side) {
  Socket& socket = side == Side::Front ? place.front : place.back;
  session::Session& session = *place.session;
  if (socket.end->reset_waits()) {
    session.broke(side, now_);
    return true;
  }
  if (std::optional<std::string> bytes = socket.end->receive(socket.bulk ? large_receive : small_receive)) {
    // A block of exactly its size, so that a sanitizer sees who reads beyond; wiped like a receive buffer.
    const std::unique_ptr<char[]> lent(new char[bytes->size()]);
    std::copy(bytes->begin(), bytes->end(), lent.get());
    session.received(side, {lent.get(), bytes->size()}, now_);
    wipe(lent.get(), bytes->size());
    socket.bulk = bytes->size() >= small_receive;
    return true;
  }
  if (!socket.end->fin_waits()) return false;
  socket.end->see_fin();
  session.ended(side, now_);
  return true;
}

// To another process and back. What is in flight comes back first, and what the peer has taken of it does not.
void World::move(Place& place) {
  // Both blocks of an outbox become one. Once does no harm; again and again, it would undo the back-pressure.
  for (const Side side : {Side::Front, Side::Back}) {
    const Outbox& outbox = place.session->outbox(side);
    if (outbox.flying() && outbox.waiting_size() != 0) return;
  }
  for (const Side side : {Side::Front, Side::Back}) {
    Socket& socket = side == Side::Front ? place.front : place.back;
    if (!std::exchange(socket.sending, false)) continue;
    Outbox& outbox = place.session->outbox(side);
    outbox.came_back(surroundings_.pool, outbox.flying_size() - socket.flying.size(), false);
  }
  Packer packer;
  if (!place.session->freeze(packer)) throw Fault(0, "a relay cannot be moved");
  place.session.emplace(surroundings_, packer.reveal());
  if (!place.session->relaying()) throw Fault(0, "a relay that was moved is none any more");
  place.back_attempt = place.session->plan().back_attempt;
}

void World::forget(Place& place) {
  desk_.forget(place.ticket);
  if (place.front.end != nullptr) place.front.end->deliver_gone();
  if (place.back.end != nullptr) place.back.end->deliver_gone();
  log();  // the session's lines
  place.session.reset();
  place.over = true;
}

// ---- The desk ------------------------------------------------------------------------------------------------------

bool World::serve_desk() {
  if (auth_.mode != auth::Mode::Helper) return false;
  bool moved = serve_helper_link();
  while (std::optional<auth::DeskAnswer> answer = desk_.next_answer()) {
    moved = true;
    for (const auto& place : places_) {
      if (place->ticket == answer->ticket && !place->over) place->session->answered(std::move(answer->verdict), now_);
    }
  }
  log();
  return moved;
}

bool World::serve_helper_link() {
  if (!helper_.connected()) {
    if (!desk_.wants_connection(now_)) return false;
    desk_.on_connecting(now_);
    if (helper_.up()) {
      helper_.connect();
      desk_.on_connected(now_);
    } else {
      desk_.on_disconnected(now_, "Connection refused");
    }
    return true;
  }
  if (desk_.must_disconnect()) {
    end_helper_link({});
    return true;
  }
  const Secret output = desk_.take_output();
  if (!output.empty()) helper_.deliver(output.reveal());
  if (const std::optional<std::string> bytes = helper_.receive()) {
    desk_.on_received(*bytes, now_);
    return true;
  }
  if (!helper_.closes()) return !output.empty();
  end_helper_link({});
  return true;
}

void World::end_helper_link(std::string_view why) {
  helper_.disconnect();
  desk_.on_disconnected(now_, why);
}

}  // namespace postern::dialog
