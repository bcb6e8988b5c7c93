// SPDX-License-Identifier: GPL-3.0-or-later
#include "end.h"

#include <algorithm>
#include <utility>

namespace postern::dialog {

using tls::test::Peer;

void End::queue(std::string_view wire, size_t chunk) {
  if (fin_ || reset_) return;
  for (std::string& segment : cutter_.segments(wire, chunk))
    segments_.push_back(std::move(segment));
}

void End::send(std::string_view octets) {
  for (const std::string& piece : cutter_.pieces(side_, octets)) {
    if (!peer_) {
      queue(piece);
    } else if (peer_->write(piece)) {
      queue(peer_->take());
    }
  }
}

void End::send_records(const std::vector<std::string>& octets) {
  for (const std::string& record : octets)
    peer_->write(record);
  queue(peer_->take());
}

void End::start_tls(Peer peer, std::string_view glued, size_t chunk) {
  peer_.emplace(std::move(peer));
  chunk_ = chunk;
  const std::string early = std::exchange(inbox_, {});
  if (side_ == Side::Front) {
    static_cast<void>(peer_->shake_hands());
    queue(std::string(glued) + peer_->take(), chunk_);
  }
  understand(early);
}

void End::close(Close how) {
  if (how == Close::Reset) {
    reset_ = true;
    segments_.clear();
  }
  if ((how == Close::Full || how == Close::Half) && tls_done()) {
    peer_->close();
    queue(peer_->take());
  }
  fin_ = true;
  closed_ = how == Close::Full || how == Close::Reset;
}

void End::resume() {
  paused_ = false;
  understand(std::exchange(unread_, {}));
}

std::string End::take(size_t size, bool login) {
  std::string taken = inbox_.substr(0, size);
  inbox_.erase(0, size);
  if (!login) beside_logins_ += taken;
  return taken;
}

std::optional<std::string> End::receive(size_t size_max) {
  if (segments_.empty()) return std::nullopt;
  std::string& segment = segments_.front();
  std::string taken;
  if (segment.size() <= size_max) {
    taken = std::move(segment);
    segments_.pop_front();
  } else {
    taken = segment.substr(0, size_max);
    segment.erase(0, size_max);
  }
  return taken;
}

size_t End::deliver(std::string_view bytes) {
  if (closed_) {
    // Nobody reads here any more; a kernel would answer with a reset.
    reset_ = true;
    return bytes.size();
  }
  if (!paused_) {
    const size_t size = cutter_.gulp(bytes.size());
    understand(bytes.substr(0, size));
    return size;
  }
  const size_t size = std::min(bytes.size(), window - std::min(window, unread_.size()));
  unread_.append(bytes.substr(0, size));
  return size;
}

void End::hear(std::string_view plain) {
  inbox_.append(plain);
  heard_.append(plain);
}

void End::understand(std::string_view wire) {
  if (!peer_) return hear(wire);
  peer_->feed(wire);
  if (!tls_failed_ && !peer_->done()) {
    tls_failed_ = peer_->shake_hands() == Peer::Progress::Failed;
    queue(peer_->take(), chunk_);
  }
  if (tls_done()) hear(peer_->read());
}

}  // namespace postern::dialog
