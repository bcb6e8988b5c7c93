// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/resolver.h"

#include <sys/socket.h>

#include <algorithm>

namespace postern::health {

// The threads of the system's resolver may still be at work on what is ours.
Resolver::~Resolver() {
  for (auto& [host, request] : requests_) {
    const gaicb* const waiting[] = {&request->control};
    while (gai_cancel(&request->control) == EAI_NOTCANCELED)
      gai_suspend(waiting, 1, nullptr);
    if (gai_error(&request->control) == 0) freeaddrinfo(request->control.ar_result);
  }
}

void Resolver::look_up(const std::string& host) {
  if (requests_.contains(host)) return;
  auto request = std::make_unique<Request>();
  request->host = host;
  request->hints.ai_socktype = SOCK_STREAM;
  request->hints.ai_flags = AI_ADDRCONFIG;
  request->control.ar_name = request->host.c_str();
  request->control.ar_request = &request->hints;
  gaicb* const list[] = {&request->control};
  // What cannot even begin is tried again at the next check.
  if (getaddrinfo_a(GAI_NOWAIT, const_cast<gaicb**>(list), 1, nullptr) != 0) return;
  requests_.emplace(host, std::move(request));
}

std::vector<std::string> Resolver::collect() {
  std::vector<std::string> news;
  for (auto next = requests_.begin(); next != requests_.end();) {
    const auto request = next++;
    const int error = gai_error(&request->second->control);
    if (error == EAI_INPROGRESS) continue;
    Known& known = known_[request->first];
    if (error != 0 && !known.failing) {
      news.push_back("the name " + request->first + " cannot be looked up: " + gai_strerror(error) +
                     (known.addresses.empty() ? "" : "; its former addresses stay in use"));
    }
    known.failing = error != 0;
    if (error == 0) {
      known.addresses.clear();
      for (const addrinfo* one = request->second->control.ar_result; one != nullptr; one = one->ai_next) {
        const auto endpoint = Endpoint::from_sockaddr(one->ai_addr, one->ai_addrlen);
        const bool is_new =
            endpoint && std::find(known.addresses.begin(), known.addresses.end(), *endpoint) == known.addresses.end();
        if (is_new && known.addresses.size() < addresses_max) known.addresses.push_back(*endpoint);
      }
      freeaddrinfo(request->second->control.ar_result);
    }
    requests_.erase(request);
  }
  return news;
}

std::vector<Endpoint> Resolver::addresses(const std::string& host, uint16_t port) const {
  const auto found = known_.find(host);
  if (found == known_.end()) return {};
  std::vector<Endpoint> addresses = found->second.addresses;
  for (Endpoint& address : addresses)
    address.port = port;
  return addresses;
}

}  // namespace postern::health
