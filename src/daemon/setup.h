// SPDX-License-Identifier: GPL-3.0-or-later
// From the configuration's words to what sessions use: reads the certificates, builds the pools.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "session/setup.h"
#include "tls/tickets.h"

namespace postern::daemon {

// Reads every file that the configuration names. The status has a sentence for each fault. `tickets` must outlive the
// setup and all sessions.
absl::StatusOr<std::shared_ptr<const session::Setup>> build_setup(const config::Config& config,
                                                                  tls::TicketKeys& tickets);

}  // namespace postern::daemon
