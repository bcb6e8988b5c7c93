// SPDX-License-Identifier: GPL-3.0-or-later
// A relay leaves as bytes, or comes as bytes: how a new version of the gate takes over what lives in the old one.
#include <algorithm>
#include <utility>

#include "session/session.h"

namespace postern::session {
namespace {

// Of the bytes; to be raised with every change of what is written below.
constexpr uint32_t version = 1;

// The monotonic clock is the machine's, so a moment of it means the same in every process.
int64_t count_of(Instant instant) {
  return instant.time_since_epoch().count();
}

Instant instant_of(int64_t count) {
  return Instant(Instant::duration(count));
}

// Those that were let in already are counted, but not turned away.
Limits without_refusals(Limits limits) {
  for (uint32_t* limit : {&limits.sessions_per_address, &limits.sessions_per_network, &limits.unauthenticated,
                          &limits.unauthenticated_per_address}) {
    if (*limit != 0) *limit = UINT32_MAX;
  }
  return limits;
}

}  // namespace

bool Session::freeze(const Leg& leg, Packer& out) {
  if (leg.out.flying()) return false;
  out.put(leg.out.waiting_text());
  out.put(leg.ended);
  out.put(static_cast<bool>(leg.channel));
  return !leg.channel || leg.channel.freeze(out);
}

bool Session::freeze(Packer& out) const {
  const auto* relaying = std::get_if<Relaying>(&state_);
  if (relaying == nullptr) return false;
  out.put(version);
  if (!freeze(front_, out) || !freeze(back_, out)) return false;
  out.put(front_endpoint_);
  out.put(local_endpoint_);
  out.put(back_endpoint_);
  out.put(id_);
  out.put(count_of(began_));
  out.put(count_of(deadline_));
  const std::vector<ListenerOptions>& listeners = surroundings_.setup->options.listeners;
  out.put(listener_ < listeners.size() ? std::string_view(listeners[listener_].name) : std::string_view());
  out.put(static_cast<uint8_t>(dialect_));
  out.put(holds_member_);
  out.put(relaying->user);
  out.put(relaying->bytes_in);
  out.put(relaying->bytes_out);
  out.put(relaying->extras == nullptr ? std::string_view() : std::string_view(relaying->extras->counted_user));
  out.put(filter() != nullptr);
  if (filter() != nullptr) filter()->freeze(out);
  return true;
}

Session::Session(Surroundings& surroundings, std::string_view bytes)
    : surroundings_(surroundings), id_(0), listener_(0), dialect_(Dialect::Imap) {
  surroundings_.counters.states[state_.index()]++;
  Unpacker in(bytes);
  if (thaw(in) && in.whole()) return;
  surroundings_.admission->release(share_);
  release_counts();
  set_state(Closing{Closing::Phase::Over});
  back_attempt_ = 0;
  deadline_ = instant_never;
}

bool Session::thaw(Leg& leg, Unpacker& in, bool is_front) {
  leg.out.append(surroundings_.pool, in.text());
  leg.ended = in.get<bool>();
  if (!in.get<bool>()) return !in.failed();
  leg.channel = tls::Channel::thaw(in, is_front);
  return static_cast<bool>(leg.channel);
}

bool Session::thaw(Unpacker& in) {
  if (in.get<uint32_t>() != version || !thaw(front_, in, true) || !thaw(back_, in, false)) return false;
  front_endpoint_ = in.endpoint();
  local_endpoint_ = in.endpoint();
  back_endpoint_ = in.endpoint();
  id_ = in.get<uint64_t>();
  began_ = instant_of(in.get<int64_t>());
  deadline_ = instant_of(in.get<int64_t>());
  const std::vector<ListenerOptions>& listeners = surroundings_.setup->options.listeners;
  const std::string_view listener = in.text();
  const auto same = std::find_if(listeners.begin(), listeners.end(),
                                 [&](const ListenerOptions& options) { return options.name == listener; });
  // One that is gone: whoever asks for its options gets the first one's, as after a reload.
  if (same != listeners.end()) listener_ = static_cast<uint16_t>(same - listeners.begin());
  const auto dialect = in.get<uint8_t>();
  if (dialect > static_cast<uint8_t>(Dialect::Sieve)) return false;
  dialect_ = static_cast<Dialect>(dialect);
  const bool holds_member = in.get<bool>();
  Relaying relaying;
  relaying.user = in.text();
  relaying.bytes_in = in.get<uint64_t>();
  relaying.bytes_out = in.get<uint64_t>();
  std::string counted_user(in.text());
  const bool has_filter = in.get<bool>();
  if (in.failed()) return false;
  if (has_filter || !counted_user.empty()) relaying.extras = std::make_unique<Relaying::Extras>();
  if (has_filter && !relaying.extras->filter.emplace().thaw(in)) return false;
  const Limits limits = without_refusals(surroundings_.setup->options.limits);
  // While memory is short it is not counted.
  if (!surroundings_.admission->admit(front_endpoint_, false, limits, share_))
    surroundings_.admission->logged_in(share_);
  if (holds_member) holds_member_ = surroundings_.counts->take(back_endpoint_, 0);
  if (!counted_user.empty() && surroundings_.counts->take_user(counted_user, 0)) {
    relaying.extras->counted_user = std::move(counted_user);
  }
  back_attempt_ = back_attempts_ = 1;
  // No move from another state: it comes as it was elsewhere.
  set_state(std::move(relaying));
  return true;
}

}  // namespace postern::session
