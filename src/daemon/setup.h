// SPDX-License-Identifier: GPL-3.0-or-later
// From the configuration's words to what sessions use: certificates at hand, pools built.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "certificates/store.h"
#include "config/config.h"
#include "session/setup.h"
#include "tls/tickets.h"

namespace postern::daemon {

// For the certificates that the configuration names; load() is still to be called. `tickets` must outlive it and all
// sessions.
certificates::Store store_of(const config::Config& config, tls::TicketKeys& tickets);

// With the certificates of a store that is loaded. Reads every other file that the configuration names; the status has a
// sentence for each fault.
absl::StatusOr<std::shared_ptr<const session::Setup>> build_setup(const config::Config& config,
                                                                  const certificates::Store& store);

// The same as `former`, but with what the store holds now.
std::shared_ptr<const session::Setup> with_certificates_of(const certificates::Store& store,
                                                           const session::Setup& former);

}  // namespace postern::daemon
