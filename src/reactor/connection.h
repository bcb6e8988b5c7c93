// SPDX-License-Identifier: GPL-3.0-or-later
// Connection: a session and its two sockets' places in the ring, with what the kernel holds of them.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "session/session.h"

namespace postern::reactor {

// A socket as the reactor sees it: what is under way, and how it is to be read.
struct Socket {
  bool open : 1 = false;
  bool receiving : 1 = false;
  bool sending : 1 = false;
  bool finishing : 1 = false;   // the sending half is being shut down, or has been
  bool bulk : 1 = false;        // the last receive filled its buffer: take a large one
  bool more_waits : 1 = false;  // the kernel said that there is more to read
  bool splicing : 1 = false;    // its bytes go to the other side inside the kernel, through a lent pipe
  uint8_t full_in_a_row = 0;    // large receives that filled their buffer
  uint8_t pending = 0;          // operations whose completion is still to come
};

struct Connection {
  enum class Step : uint8_t {
    Naming,  // the peer's address is being asked for; there is no session yet
    Alive,
    Cancelling,  // over; waiting until the kernel holds nothing
    Closing,     // the places are being freed
  };
  enum class BackStep : uint8_t { None, Connecting, Open, Cancelling, Closing };

  uint32_t index = 0;
  uint32_t generation = 0;
  Step step = Step::Naming;
  BackStep back_step = BackStep::None;
  uint16_t listener = 0;
  Socket front;
  Socket back;
  uint32_t back_attempt = 0;               // the session's, that `back` serves
  std::unique_ptr<sockaddr_storage> peer;  // while Naming
  std::optional<session::Session> session;
  Instant wheel_due = instant_never;  // the wheel will ask then

  Socket& socket(session::Side side) { return side == session::Side::Front ? front : back; }
};

// All connections of a reactor, found by index. The index is the front socket's place in the ring's table, given by the
// kernel, lowest free first; so the slab stays dense, and pages without connections are given back.
class Slab {
 public:
  explicit Slab(uint32_t capacity) : pages_((capacity + page_size - 1) / page_size) {}

  // The place must be free.
  Connection& create(uint32_t index, uint32_t generation);
  void destroy(Connection& connection);
  // Null when there is none or it is of another generation.
  Connection* find(uint32_t index, uint32_t generation);
  uint32_t live() const { return live_; }

  // Calls `handle(Connection&)` for each; it must not create or destroy any.
  template <typename Handle>
  void for_each(Handle&& handle) {
    for (const std::unique_ptr<Page>& page : pages_) {
      if (!page) continue;
      for (std::optional<Connection>& place : page->places) {
        if (place) handle(*place);
      }
    }
  }

  // The same for the places from `from` on, until the end of the page in which `count_max` have been handled. Returns
  // where to go on; nothing: that was all.
  template <typename Handle>
  std::optional<uint32_t> for_some(uint32_t from, uint32_t count_max, Handle&& handle) {
    uint32_t count = 0;
    for (size_t number = from / page_size; number < pages_.size(); ++number) {
      if (count >= count_max) return static_cast<uint32_t>(number * page_size);
      if (!pages_[number]) continue;
      for (std::optional<Connection>& place : pages_[number]->places) {
        if (!place) continue;
        handle(*place);
        count++;
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr uint32_t page_size = 64;
  struct Page {
    std::optional<Connection> places[page_size];
    uint32_t live = 0;
  };

  std::vector<std::unique_ptr<Page>> pages_;
  uint32_t live_ = 0;
};

}  // namespace postern::reactor
