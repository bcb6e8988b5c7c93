// SPDX-License-Identifier: GPL-3.0-or-later
// HelperLink: carries a Desk's connection to the helper over a Unix socket, through the reactor's ring.
#pragma once

#include <sys/un.h>

#include <array>
#include <string>

#include "auth/desk.h"
#include "base/clock.h"
#include "base/secret.h"
#include "ring/ring.h"

namespace postern::reactor {

class HelperLink {
 public:
  // The tags' operations; their generation is the connection's number.
  struct Operations {
    uint8_t connect, receive, send, ignored;
  };

  // `desk` and `ring` outlive the link; `path` is the helper's socket.
  HelperLink(ring::Ring& ring, auth::Desk& desk, std::string path, Operations operations);
  ~HelperLink();
  HelperLink(const HelperLink&) = delete;
  HelperLink& operator=(const HelperLink&) = delete;

  // Carries out what the desk wants: call after anything that touched the desk.
  void settle(Instant now);
  // A completion of one of the operations.
  void completed(const ring::Completion& completion, Instant now);

 private:
  void open(Instant now);
  // Ends the connection; the descriptor goes when the kernel holds nothing of it.
  void leave();
  void close_when_idle(Instant now);
  ring::Tag tag(uint8_t operation) const { return {operation, 0, number_}; }

  ring::Ring& ring_;
  auth::Desk& desk_;
  const std::string path_;
  const Operations operations_;
  sockaddr_un address_{};
  int fd_ = -1;
  uint32_t number_ = 0;
  uint8_t pending_ = 0;
  bool up_ = false;
  bool leaving_ = false;
  bool sending_ = false;
  int error_ = 0;
  Secret sent_;  // in the kernel's hands
  std::array<char, 16384> received_;
};

}  // namespace postern::reactor
