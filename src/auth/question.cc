// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/question.h"

namespace postern::auth {

Route Route::clone() const {
  Route copy;
  copy.user = user;
  if (password) copy.password = password->clone();
  copy.master_user = master_user;
  copy.master_password = master_password.clone();
  copy.backs = backs;
  copy.pool = pool;
  copy.moving_to = moving_to;
  copy.moving_to_tls_name = moving_to_tls_name;
  copy.tls = tls;
  copy.tls_name = tls_name;
  copy.mechanism = mechanism;
  copy.proxy_protocol = proxy_protocol;
  copy.xclient = xclient;
  copy.sessions_max = sessions_max;
  return copy;
}

Verdict clone(const Verdict& verdict) {
  if (const Accept* accept = std::get_if<Accept>(&verdict)) {
    Accept copy{accept->route.clone(), std::nullopt};
    if (accept->scram) copy.scram = accept->scram->clone();
    return copy;
  }
  if (const Reject* reject = std::get_if<Reject>(&verdict)) return *reject;
  return std::get<NotNow>(verdict);
}

}  // namespace postern::auth
