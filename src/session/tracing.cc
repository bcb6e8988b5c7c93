// SPDX-License-Identifier: GPL-3.0-or-later
// A session that is traced: what it says of itself to its Trace.
#include "absl/strings/str_format.h"
#include "protocol/mechanism.h"
#include "session/session.h"

namespace postern::session {

void Session::begin_trace(const Login& login, Instant now) {
  if (!surroundings_.traces.empty() && trace_ == nullptr) trace_ = std::make_unique<Trace>(id_, dialect_, began_);
  if (trace_ == nullptr) return;
  trace(absl::StrFormat("%s from %s to %s, TLS %s, name asked for \"%s\"", protocol_word(), front_endpoint_.text(),
                        local_endpoint_.text(), tls_word(), login.tls.sni),
        now);
}

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
