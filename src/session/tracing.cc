// SPDX-License-Identifier: GPL-3.0-or-later
// A session that is traced: what it says of itself to its Trace.
#include "absl/strings/str_format.h"
#include "protocol/mechanism.h"
#include "session/session.h"

namespace postern::session {

void Session::trace(Voice voice, std::string_view bytes, Instant now) {
  if (trace_ != nullptr) trace_->said(voice, bytes, now);
}

void Session::trace(std::string_view note, Instant now) {
  if (trace_ != nullptr) trace_->note(std::string(note), now);
}

// Here it turns out whether anybody wants to see it.
void Session::trace_user(const Login& login, Instant now) {
  if (trace_ == nullptr) return;
  const protocol::Credentials& credentials = login.credentials;
  trace_->hide(credentials.password.reveal());
  trace_->named(credentials.user, surroundings_.traces);
  trace(absl::StrFormat("user %s, mechanism %s", credentials.user, protocol::mechanism_word(credentials.mechanism)),
        now);
}

void Session::trace_route(const Login& login, Instant now) {
  if (trace_ == nullptr) return;
  trace_->hide(login.route.master_password.reveal());
  if (login.route.password) trace_->hide(login.route.password->reveal());
  trace(absl::StrFormat("to %s, as the number %u of %u", back_endpoint_.text(), login.candidate + 1,
                        login.candidates.size()),
        now);
}

void Session::end_trace(std::string_view note, Instant now) {
  if (trace_ == nullptr) return;
  trace(note, now);
  trace_->finish();
  trace_.reset();
}

}  // namespace postern::session
