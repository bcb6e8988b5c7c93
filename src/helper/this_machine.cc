// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/this_machine.h"

#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "base/endpoint.h"

namespace postern::helper {

bool is_this_machine(std::string_view host) {
  if (absl::EqualsIgnoreCase(absl::string_view(host.data(), host.size()), "localhost")) return true;
  const std::optional<Endpoint> address = Endpoint::parse(host, 1);
  static const std::vector<Network> loopback{*Network::parse("127.0.0.0/8"), *Network::parse("::1/128")};
  return address && any_contains(loopback, *address);
}

}  // namespace postern::helper
