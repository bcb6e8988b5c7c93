// SPDX-License-Identifier: GPL-3.0-or-later
// What the service manager is told: that the process serves, reads its configuration again, or ends. sd_notify(3) says
// how: a datagram to the socket that $NOTIFY_SOCKET names. Without that variable nothing happens, and nothing that goes
// wrong here is the process's failure: the manager's own time-outs speak then.
#pragma once

#include <sys/types.h>

#include "base/clock.h"

namespace postern::service {

// All that was asked for is served now; whoever waits for this unit may go on.
void tell_ready();

// The process ends, which may take so long: the manager waits for that time and some seconds more, also where its own
// limit (TimeoutStopSec=) is shorter.
void tell_stopping(Duration at_most);

// Another process serves in the place of this one, which the manager took for the main one.
void tell_main_process(pid_t process);

// Tells that the configuration is being read again, for as long as it lives.
class Reloading {
 public:
  Reloading();
  ~Reloading();
  Reloading(const Reloading&) = delete;
  Reloading& operator=(const Reloading&) = delete;
};

}  // namespace postern::service
