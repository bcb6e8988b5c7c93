// SPDX-License-Identifier: GPL-3.0-or-later
// Resolver: the addresses behind the names of mail servers, looked up without waiting.
//
// The system's own resolver does it (getaddrinfo_a(3)), on threads of its own: hosts files, DNS and whatever else the
// administrator has set up. A name that cannot be looked up keeps the addresses that it had.
#pragma once

#include <netdb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/endpoint.h"

namespace postern::health {

class Resolver {
 public:
  // More addresses than that behind one name are cut.
  static constexpr size_t addresses_max = 32;

  Resolver() = default;
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Begins a look-up, unless one is under way.
  void look_up(const std::string& host);
  bool is_busy(const std::string& host) const { return requests_.contains(host); }
  bool is_busy() const { return !requests_.empty(); }
  // Takes in what has come. Returns a sentence for each name whose trouble is news.
  std::vector<std::string> collect();
  // The last addresses, with this port, IPv6 and IPv4 in the system's order; empty: never found.
  std::vector<Endpoint> addresses(const std::string& host, uint16_t port) const;

 private:
  struct Request {
    std::string host;
    addrinfo hints{};
    gaicb control{};
  };
  struct Known {
    std::vector<Endpoint> addresses;
    bool failing = false;
  };

  absl::flat_hash_map<std::string, std::unique_ptr<Request>> requests_;
  absl::flat_hash_map<std::string, Known> known_;
};

}  // namespace postern::health
