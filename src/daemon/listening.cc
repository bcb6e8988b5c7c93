// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/listening.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "daemon/capacity.h"

namespace postern::daemon {
namespace {

// How long a connection that has not sent a byte may wait in the kernel, where the mail program speaks first.
constexpr int defer_accept_s = 10;

absl::Status cannot(const session::ListenerOptions& listener, const Endpoint& address, const char* what, int error) {
  std::string remedy;
  if (error == EACCES) remedy = ": ports below 1024 need root or CAP_NET_BIND_SERVICE";
  if (error == EADDRINUSE) remedy = ": another program listens there; `ss -ltnp` shows which";
  if (error == EADDRNOTAVAIL) remedy = ": this machine has no such address";
  if (error == EMFILE) remedy = ": raise the limit on open files";
  return absl::FailedPreconditionError(absl::StrFormat("listener \"%s\": cannot %s %s: %s%s", listener.name, what,
                                                       address.text(), strerror(error), remedy));
}

void set_deferring(int fd, const session::ListenerOptions& listener) {
  const bool defers = listener.tls == session::FrontTls::Implicit && !listener.proxy_protocol;
  const int seconds = defers ? defer_accept_s : 0;
  setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

absl::StatusOr<int> listen_on(const session::ListenerOptions& listener, const Endpoint& address) {
  const int fd = ::socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return cannot(listener, address, "open a socket for", errno);
  const int on = 1;
  // Accepted sockets inherit these.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // "[::]" and "0.0.0.0" are listed apart in the configuration.
  if (address.v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  set_deferring(fd, listener);
  sockaddr_storage storage;
  const socklen_t size = address.to_sockaddr(storage);
  const char* step = "bind";
  int result = ::bind(fd, reinterpret_cast<const sockaddr*>(&storage), size);
  if (result == 0) {
    step = "listen on";
    result = ::listen(fd, backlog);
  }
  if (result == 0) return fd;
  const int error = errno;
  ::close(fd);
  return cannot(listener, address, step, error);
}

// Whether anybody listens there: with SO_REUSEPORT, a second gate of the same user would silently take half of the
// connections.
bool is_taken(const Endpoint& address) {
  const int fd = ::socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  sockaddr_storage storage;
  const socklen_t size = address.to_sockaddr(storage);
  const bool taken = ::bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno == EADDRINUSE;
  ::close(fd);
  return taken;
}

}  // namespace

absl::Status Listening::update(const std::vector<session::ListenerOptions>& listeners) {
  std::vector<std::vector<reactor::ListeningSocket>> wanted(sockets_.size());
  std::vector<int> opened;
  absl::Status status;
  for (uint16_t number = 0; number < listeners.size() && status.ok(); ++number) {
    for (const Endpoint& address : listeners[number].addresses) {
      const auto known = std::find_if(sockets_[0].begin(), sockets_[0].end(),
                                      [&](const reactor::ListeningSocket& socket) { return socket.local == address; });
      const bool is_known = known != sockets_[0].end();
      if (!is_known && !inherits(address) && is_taken(address))
        status = cannot(listeners[number], address, "bind", EADDRINUSE);
      for (size_t reactor = 0; reactor < sockets_.size() && status.ok(); ++reactor) {
        if (is_known) {
          const auto index = static_cast<size_t>(known - sockets_[0].begin());
          wanted[reactor].push_back({sockets_[reactor][index].fd, number, address});
          continue;
        }
        const absl::StatusOr<int> fd = open(listeners[number], address);
        status = fd.status();
        if (!fd.ok()) break;
        opened.push_back(*fd);
        wanted[reactor].push_back({*fd, number, address});
      }
      if (!status.ok()) break;
    }
  }
  if (!status.ok()) {
    for (const int fd : opened)
      ::close(fd);
    return status;
  }
  sockets_ = std::move(wanted);
  share_extras(listeners);
  return absl::OkStatus();
}

std::vector<reactor::ListeningSocket> Listening::of(uint32_t reactor) const {
  std::vector<reactor::ListeningSocket> all = sockets_[reactor];
  all.insert(all.end(), extras_[reactor].begin(), extras_[reactor].end());
  return all;
}

std::vector<Heirloom> Listening::heirlooms() const {
  std::vector<Heirloom> all;
  for (uint32_t reactor = 0; reactor < sockets_.size(); ++reactor) {
    for (const reactor::ListeningSocket& socket : of(reactor))
      all.push_back({socket.fd, socket.local});
  }
  return all;
}

bool Listening::inherits(const Endpoint& address) const {
  return std::any_of(inherited_.begin(), inherited_.end(),
                     [&](const Heirloom& socket) { return socket.local == address; });
}

absl::StatusOr<int> Listening::open(const session::ListenerOptions& listener, const Endpoint& address) {
  const auto found = std::find_if(inherited_.begin(), inherited_.end(),
                                  [&](const Heirloom& socket) { return socket.local == address; });
  if (found == inherited_.end()) return listen_on(listener, address);
  const int fd = found->fd;
  inherited_.erase(found);
  set_deferring(fd, listener);
  return fd;
}

// Gives those that are left of the inheritance to the reactors in turn, and keeps of all such only what is listened on.
void Listening::share_extras(const std::vector<session::ListenerOptions>& listeners) {
  for (size_t i = 0; i < inherited_.size(); ++i)
    extras_[i % extras_.size()].push_back({inherited_[i].fd, 0, inherited_[i].local});
  const bool are_new = !inherited_.empty();
  inherited_.clear();
  const auto is_gone = [&](reactor::ListeningSocket& socket) {
    for (uint16_t number = 0; number < listeners.size(); ++number) {
      const std::vector<Endpoint>& addresses = listeners[number].addresses;
      if (std::find(addresses.begin(), addresses.end(), socket.local) == addresses.end()) continue;
      socket.listener = number;
      return false;
    }
    // A reactor that has it closes it.
    if (are_new) ::close(socket.fd);
    return true;
  };
  for (auto& extras : extras_)
    extras.erase(std::remove_if(extras.begin(), extras.end(), is_gone), extras.end());
}

}  // namespace postern::daemon
