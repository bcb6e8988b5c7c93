// SPDX-License-Identifier: GPL-3.0-or-later
// What the administrator sees of a session, and does with it.
#include "session/facts.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "session/session.h"

namespace postern::session {

std::string text_of_id(uint64_t id) {
  return absl::StrFormat("%016x", id);
}

void Session::set_state(State next) {
  surroundings_.counters.states[state_.index()]--;
  state_ = std::move(next);
  surroundings_.counters.states[state_.index()]++;
  if (trace_ != nullptr) trace_->remark("now " + std::string(state_name()));
}

Facts Session::facts(Instant now) const {
  Facts facts;
  facts.id = id_;
  facts.state = state_name();
  facts.dialect = dialect_;
  facts.front = front_endpoint_;
  facts.local = local_endpoint_;
  if (back_attempt_ != 0) facts.back = back_endpoint_;
  if (front_.channel) facts.front_tls = front_.channel.version();
  if (back_.channel) facts.back_tls = back_.channel.version();
  facts.age = std::chrono::duration_cast<Duration>(now - began_);
  if (const Login* present = login()) facts.user = present->credentials.user;
  if (const auto* relaying = std::get_if<Relaying>(&state_)) {
    facts.user = relaying->user;
    facts.bytes_in = relaying->bytes_in;
    facts.bytes_out = relaying->bytes_out;
    // The deadline is the last byte's time and the time-out. A reload may have changed that meanwhile.
    const Instant touched = deadline_ - surroundings_.setup->options.limits.idle_timeout;
    facts.silence = std::clamp(std::chrono::duration_cast<Duration>(now - touched), Duration(0), facts.age);
  }
  return facts;
}

void Session::kick(Instant now) {
  if (std::holds_alternative<Closing>(state_)) return;
  Login* const present = login();
  finish(EndReason::Kicked, now,
         present == nullptr ? std::string() : present->front->bye("Ended by the administrator"));
}

}  // namespace postern::session
