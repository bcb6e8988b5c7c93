// SPDX-License-Identifier: GPL-3.0-or-later
// Link: one connection to a helper under test, with a limit on every wait.
//
// While it sends it also reads, so that neither side waits for the other with full hands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/form.h"
#include "base/clock.h"
#include "base/secret.h"

namespace postern::helper::conform {

class Link {
 public:
  // `patience`: how long the helper may do nothing before it counts as silent.
  explicit Link(Duration patience) : patience_(patience) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Empty, or why the socket cannot be reached.
  [[nodiscard]] std::string connect(const std::string& path);
  // False: the helper is gone, or takes nothing.
  bool send(std::string_view bytes);
  // The next line without its LF; nullopt if none comes: see why().
  [[nodiscard]] std::optional<Secret> next_line();
  [[nodiscard]] std::optional<Secret> next_line(Duration patience);
  void close();

  bool has_ended() const { return ended_; }
  // Why there is no line, as half a sentence.
  std::string why() const;

 private:
  // Waits until bytes have come or, with `to_send`, can go; false after the patience or at the end.
  bool wait(bool to_send, Duration span);
  void read();

  const Duration patience_;
  int descriptor_ = -1;
  bool ended_ = false;
  auth::LineSplitter input_;
};

}  // namespace postern::helper::conform
