// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/sessions.h"

#include <algorithm>

#include "tls/context.h"
#include "tls/inside.h"

namespace postern::tls {

void BackSession::Free::operator()(WOLFSSL_SESSION* session) const {
  free_session(session);
}

bool BackSession::is_for(const BackContext& context, const ServerName& name) const {
  return session_ != nullptr && context_id_ == context.id() && name_ == name.text;
}

void BackSessions::keep(std::string_view endpoint, BackSession session) {
  if (!session) return;
  const auto is_same = [endpoint](const Entry& entry) { return entry.endpoint == endpoint; };
  const auto same = static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), is_same));
  if (same >= count_each_max) {
    entries_.erase(std::find_if(entries_.begin(), entries_.end(), is_same));
  } else if (entries_.size() >= count_max) {
    entries_.pop_front();
  }
  entries_.push_back({std::string(endpoint), std::move(session)});
}

BackSession BackSessions::take(const BackContext& context, std::string_view endpoint, std::string_view name) {
  const ServerName server = ServerName::of(name);
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& entry) {
    return entry.endpoint == endpoint && entry.session.is_for(context, server);
  });
  if (found == entries_.rend()) return {};
  BackSession session = std::move(found->session);
  entries_.erase(std::prev(found.base()));
  return session;
}

void BackSessions::forget(std::string_view endpoint) {
  std::erase_if(entries_, [endpoint](const Entry& entry) { return entry.endpoint == endpoint; });
}

}  // namespace postern::tls
