// SPDX-License-Identifier: GPL-3.0-or-later
// Succession: a new version of the gate takes the place of the running one, and nobody is refused meanwhile.
//
// The running process starts the program anew and gives it the listening sockets and the keys of session tickets. Once
// the new one serves, it says so; from then on both share the queues of waiting connections, the old one takes no more of
// them, and its sessions end in their own time. A new process that cannot start says why in its log and leaves everything
// as it was.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/secret.h"
#include "daemon/listening.h"

namespace postern::daemon {

// What a new process gets; the descriptors are its own.
struct Inheritance {
  std::vector<Heirloom> sockets;
  Secret ticket_keys;
};

// The new process, as the old one sees it.
class Successor {
 public:
  // How long the new process may take until it serves.
  static constexpr Duration patience = std::chrono::seconds(60);

  // Runs `arguments` (the program's file first) and hands over what `sockets` name, which stay open here, and the keys.
  static absl::StatusOr<std::unique_ptr<Successor>> start(const std::vector<std::string>& arguments,
                                                          const std::vector<Heirloom>& sockets,
                                                          const Secret& ticket_keys);
  // Ends the new process, unless it is ready.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  enum class News { None, Ready, Gone };
  // Readable when there is news.
  int fd() const { return link_; }
  News news();
  pid_t pid() const { return pid_; }

 private:
  Successor() = default;

  int link_ = -1;
  pid_t pid_ = -1;
  bool ready_ = false;
};

// The old process, as the new one sees it.
class Predecessor {
 public:
  // Whether this process was started by Successor::start(). Call it once, before any thread is started.
  static std::optional<Predecessor> find();
  Predecessor(Predecessor&& other) noexcept;
  Predecessor& operator=(Predecessor&&) = delete;
  ~Predecessor();

  absl::StatusOr<Inheritance> inherit();
  // This process serves.
  void say_ready();

 private:
  explicit Predecessor(int link) : link_(link) {}

  int link_;
};

}  // namespace postern::daemon
