// SPDX-License-Identifier: GPL-3.0-or-later
// End: the far end of one of the gate's connections, a mail program or a mail server, played by the dialog. What TLS it
// speaks is OpenSSL's. Between the two halves below lies what a kernel would do.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "cutter.h"
#include "unit/tls/peer.h"

namespace postern::dialog {

class End {
 public:
  // Bytes that the kernel keeps for an end that does not read.
  static constexpr size_t window = 64 * 1024;

  End(Side side, Endpoint address, Cutter& cutter) : side_(side), address_(address), cutter_(cutter) {}

  // The dialog's half.
  void send(std::string_view octets);
  // Each a TLS record of its own, all in one segment.
  void send_records(const std::vector<std::string>& octets);
  // Begins the handshake, as a mail program if `peer` is one: then `glued` goes out in front of its hello. What came
  // before belongs to the handshake.
  void start_tls(tls::test::Peer peer, std::string_view glued, size_t chunk);
  enum class Close : uint8_t {
    Full,  // close_notify, FIN, and nothing is read any more
    Half,  // close_notify and FIN; goes on reading
    Bare,  // FIN alone; goes on reading
    Reset,
  };
  void close(Close how);
  void pause() { paused_ = true; }
  void resume();

  // What came and has not been taken.
  const std::string& inbox() const { return inbox_; }
  // Takes bytes from the front of the inbox. `login`: they belong to a login, where a password is in its place.
  std::string take(size_t size, bool login = false);
  // Everything that ever came, in clear; and the same without logins.
  const std::string& heard() const { return heard_; }
  std::string heard_beside_logins() const { return beside_logins_ + inbox_; }

  bool has_tls() const { return peer_.has_value(); }
  bool tls_done() const { return peer_ && peer_->done() && !tls_failed_; }
  bool tls_failed() const { return tls_failed_; }
  const tls::test::Peer& peer() const { return *peer_; }
  bool was_told_close() const { return peer_ && peer_->was_told_close(); }
  // The gate sends no more; the gate's socket is gone.
  bool ended() const { return ended_ || gone_; }
  bool gone() const { return gone_; }
  bool closed() const { return closed_; }
  bool paused() const { return paused_; }
  const Endpoint& address() const { return address_; }

  // The gate's half.
  // At most `size_max` bytes of the next segment; nullopt: nothing waits.
  std::optional<std::string> receive(size_t size_max);
  bool fin_waits() const { return segments_.empty() && fin_ && !fin_seen_; }
  void see_fin() { fin_seen_ = true; }
  bool reset_waits() const { return reset_; }
  // Takes up to all of `bytes` and says how many; 0 when its window is full.
  size_t deliver(std::string_view bytes);
  void deliver_end() { ended_ = true; }
  void deliver_gone() { gone_ = true; }

 private:
  void queue(std::string_view wire, size_t chunk = 0);
  void hear(std::string_view plain);
  void understand(std::string_view wire);

  const Side side_;
  const Endpoint address_;
  Cutter& cutter_;
  std::optional<tls::test::Peer> peer_;
  size_t chunk_ = 0;  // of the handshake's segments
  bool tls_failed_ = false;

  std::deque<std::string> segments_;
  bool fin_ = false, fin_seen_ = false, reset_ = false, closed_ = false;

  std::string unread_;  // in the kernel, while paused
  bool paused_ = false;
  std::string inbox_, heard_, beside_logins_;
  bool ended_ = false, gone_ = false;
};

}  // namespace postern::dialog
