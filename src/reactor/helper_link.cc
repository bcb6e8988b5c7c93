// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/helper_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace postern::reactor {

HelperLink::HelperLink(ring::Ring& ring, auth::Desk& desk, std::string path, Operations operations)
    : ring_(ring), desk_(desk), path_(std::move(path)), operations_(operations) {
  address_.sun_family = AF_UNIX;
  // The configuration's checker refuses a longer path.
  memcpy(address_.sun_path, path_.data(), std::min(path_.size(), sizeof address_.sun_path - 1));
}

HelperLink::~HelperLink() {
  if (fd_ >= 0) ::close(fd_);
}

void HelperLink::settle(Instant now) {
  if (fd_ < 0 && desk_.wants_connection(now)) open(now);
  if (desk_.must_disconnect()) leave();
  if (!up_ || leaving_ || sending_) return;
  Secret output = desk_.take_output();
  if (output.empty()) return;
  sent_ = std::move(output);
  sending_ = true;
  pending_++;
  const std::string_view bytes = sent_.reveal();
  ring_.send({fd_, false}, {bytes.data(), bytes.size()}, tag(operations_.send));
}

void HelperLink::open(Instant now) {
  desk_.on_connecting(now);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return desk_.on_disconnected(now, strerror(errno));
  number_++;
  error_ = 0;
  leaving_ = false;
  pending_++;
  ring_.connect(fd_, reinterpret_cast<const sockaddr*>(&address_),
                static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size() + 1), tag(operations_.connect));
}

void HelperLink::completed(const ring::Completion& completion, Instant now) {
  if (completion.tag.generation != number_) return;
  pending_--;
  if (completion.tag.operation == operations_.connect) {
    if (completion.result < 0) {
      error_ = -completion.result;
      leave();
    } else if (!leaving_) {
      up_ = true;
      desk_.on_connected(now);
    }
  } else if (completion.tag.operation == operations_.receive) {
    if (completion.result > 0 && !leaving_) {
      desk_.on_received({received_.data(), static_cast<size_t>(completion.result)}, now);
      // Answers may hold passwords for mail servers.
      wipe(received_.data(), static_cast<size_t>(completion.result));
    } else if (completion.result <= 0) {
      error_ = -completion.result;
      leave();
    }
  } else if (completion.tag.operation == operations_.send) {
    sending_ = false;
    const auto size = static_cast<int>(sent_.size());
    sent_.clear();
    if (completion.result < size) {
      error_ = completion.result < 0 ? -completion.result : EPIPE;
      leave();
    }
  }
  if (desk_.must_disconnect()) leave();
  if (leaving_) return close_when_idle(now);
  const bool receive_ended = completion.tag.operation != operations_.send;
  if (up_ && receive_ended) {
    pending_++;
    ring_.receive_into({fd_, false}, received_, tag(operations_.receive));
  }
}

void HelperLink::leave() {
  if (leaving_ || fd_ < 0) return;
  leaving_ = true;
  // Ends what is under way on a connected socket; a connect that still waits is cancelled.
  if (up_) {
    (void)::shutdown(fd_, SHUT_RDWR);
  } else if (pending_ != 0) {
    ring_.cancel(tag(operations_.connect), tag(operations_.ignored));
  }
}

void HelperLink::close_when_idle(Instant now) {
  if (pending_ != 0) return;
  ::close(fd_);
  fd_ = -1;
  up_ = false;
  leaving_ = false;
  desk_.on_disconnected(now, error_ == 0 ? std::string_view() : std::string_view(strerror(error_)));
}

}  // namespace postern::reactor
