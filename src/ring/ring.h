// SPDX-License-Identifier: GPL-3.0-or-later
// Ring: one io_uring with its table of direct descriptors, owned and driven by one thread.
//
// Submissions are queued by the calls below and go to the kernel with the next wait(), all in one system call.
// Every completion carries the Tag that its submission was given. This folder alone knows liburing and the kernel's
// structures; where liburing 2.3 has no call for something the kernel has, the submission is filled in by hand here.
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace postern::ring {

// Whose operation a completion is about. The ring packs it into 64 bits: 8 + 24 + 32.
struct Tag {
  uint8_t operation = 0;
  uint32_t index = 0;       // below index_max
  uint32_t generation = 0;  // of what `index` names: an answer to an older one finds nobody
  static constexpr uint32_t index_max = 1u << 24;
};

struct Completion {
  Tag tag;
  int32_t result = 0;  // as the system call would return it; errors are -errno
  uint32_t flags = 0;

  // A multishot operation goes on. Also a good result may be the last one.
  bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
  bool has_buffer() const { return (flags & IORING_CQE_F_BUFFER) != 0; }
  uint16_t buffer() const { return static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT); }
  // The socket has more to read already.
  bool more_waits() const { return (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0; }
};

// A file of the process or a place in the ring's table.
struct File {
  int number = -1;
  bool direct = false;
};

// What this kernel can do beyond Linux 6.1. Found by trying, never by version number.
struct Features {
  bool socket_options = false;  // options of direct sockets can be read and set (Linux 6.7)
};

struct RingOptions {
  uint32_t submissions = 1024;
  uint32_t completions = 8192;
  uint32_t files = 0;           // size of the table; at most RLIMIT_NOFILE
  uint32_t accepted_files = 0;  // accept() takes its places from the first so many
  bool floor_features = false;  // behave as on Linux 6.1
};

class Ring {
 public:
  // Must be called by the thread that will drive the ring. The status says what the administrator can do about it.
  static absl::StatusOr<std::unique_ptr<Ring>> create(const RingOptions& options);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  const Features& features() const { return features_; }

  // Accepts connections on a listening socket for good, each into a free place of the table: the completion's result.
  void accept_all(int listener, Tag tag);
  // Accepts one connection; `address` must stay until the completion. For kernels that cannot tell a direct socket's
  // peer afterwards.
  void accept_one(int listener, sockaddr_storage* address, socklen_t* size, Tag tag);
  // Fills in the address of a direct socket's peer. `size` must be that of the listener's family.
  // Features.socket_options.
  void get_peer(uint32_t place, sockaddr_storage* address, socklen_t size, Tag tag);

  // Opens a TCP socket at `place`, sets TCP_NODELAY and SO_KEEPALIVE, and connects. One completion comes, of the
  // connection; a failure before it comes as the completion of `setup_tag` too. `address` must stay until then.
  void connect_at(uint32_t place, const sockaddr_storage& address, socklen_t size, Tag tag, Tag setup_tag);
  void connect(int fd, const sockaddr* address, socklen_t size, Tag tag);

  // Receives into a buffer of `group`. `poll_first`: nothing is waiting as far as we know, so arm at once.
  void receive(File file, uint16_t group, bool poll_first, Tag tag);
  void receive_into(File file, std::span<char> bytes, Tag tag);
  // Sends all of `bytes`, which must stay until the completion; a smaller result means that the connection is dead.
  void send(File file, std::span<const char> bytes, Tag tag);
  // Completes when the file has bytes to read, its end, or an error.
  void poll_readable(File file, Tag tag);
  // Moves up to `size` bytes from one file to the other inside the kernel; one of them must be a pipe. Runs on a worker
  // thread of the kernel, so it pays for long streams only. `wait` false: -EAGAIN when nothing can be moved now.
  void splice(File from, File to, uint32_t size, bool wait, Tag tag);
  void shut_down_sending(File file, Tag tag);
  void read(int fd, std::span<char> bytes, Tag tag);
  // Cancels all that is under way on a direct descriptor. Each cancelled operation still completes, and `tag` comes
  // with a count or an error of no interest.
  void cancel_all(uint32_t place, Tag tag);
  // Frees a place. Nothing may be under way on it: an armed receive would keep the connection open.
  void close(uint32_t place, Tag tag);
  // Frees two places, one after the other.
  void close_in_order(uint32_t first, Tag first_tag, uint32_t second, Tag second_tag);
  // Cancels the operations that carry `target`.
  void cancel(Tag target, Tag tag);

  // Submits what is queued, waits until a completion is there or `timeout` has passed (nullopt: no limit).
  void wait(std::optional<std::chrono::nanoseconds> timeout);
  // Calls `handle(const Completion&)` for each completion that is there; it may submit. Returns their number.
  template <typename Handle>
  unsigned drain(Handle&& handle);

  // Completions that the kernel had to park because the queue was full: a sign that `completions` is too small.
  uint32_t overflows() const { return *ring_.cq.koverflow; }

  io_uring* raw() { return &ring_; }

 private:
  Ring() = default;
  io_uring_sqe* next();
  // Makes sure that `count` submissions fit without a submit between them: a chain must not be torn.
  void make_room(unsigned count);
  void probe();
  void set_option(uint32_t place, int level, int name, const int* value, Tag tag);

  io_uring ring_{};
  Features features_;
  bool is_set_up_ = false;
};

uint64_t pack(Tag tag);
Tag unpack(uint64_t value);

template <typename Handle>
unsigned Ring::drain(Handle&& handle) {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* entry;
  io_uring_for_each_cqe(&ring_, head, entry) {
    handle(Completion{unpack(entry->user_data), entry->res, entry->flags});
    count++;
  }
  io_uring_cq_advance(&ring_, count);
  return count;
}

}  // namespace postern::ring
