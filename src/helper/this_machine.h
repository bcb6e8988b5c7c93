// SPDX-License-Identifier: GPL-3.0-or-later
// Whether what is sent to a host stays on this machine, so that it needs no TLS.
#pragma once

#include <string_view>

namespace postern::helper {

// "localhost", or a loopback address: IPv4 as it is usually written, or IPv6 with brackets or without. Any other name is
// somebody else's, whatever it begins with and wherever it leads today.
bool is_this_machine(std::string_view host);

}  // namespace postern::helper
