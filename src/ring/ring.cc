// SPDX-License-Identifier: GPL-3.0-or-later
#include "ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace postern::ring {
namespace {

// The kernel's names for operations on sockets by IORING_OP_URING_CMD; newer than liburing 2.3's headers.
constexpr uint32_t socket_getsockopt = 2;
constexpr uint32_t socket_setsockopt = 3;

// Probe operations of create(), which no reactor ever sees.
constexpr uint64_t probe_data = ~uint64_t{0};

void set_tag(io_uring_sqe* entry, Tag tag) {
  entry->user_data = pack(tag);
}

void set_file(io_uring_sqe* entry, File file) {
  if (file.direct) entry->flags |= IOSQE_FIXED_FILE;
}

// Reads or writes a socket option (linux/io_uring.h: level, optname, optlen and optval overlay older members).
void prepare_option(io_uring_sqe* entry, uint32_t command, int file, int level, int name, void* value, uint32_t size) {
  io_uring_prep_rw(IORING_OP_URING_CMD, entry, file, nullptr, 0, 0);
  entry->cmd_op = command;
  entry->addr = static_cast<uint32_t>(level) | static_cast<uint64_t>(static_cast<uint32_t>(name)) << 32;
  entry->file_index = size;
  entry->addr3 = reinterpret_cast<uint64_t>(value);
}

absl::Status explain(int error) {
  if (error == EPERM || error == ENOSYS || error == EACCES) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "io_uring is not allowed here (%s). Postern needs it. Look at `sysctl kernel.io_uring_disabled` (it must be 0, "
        "or 1 with this process in the group of kernel.io_uring_group); in a container, let the seccomp profile pass "
        "io_uring_setup, io_uring_enter and io_uring_register; under systemd, do not filter them with "
        "SystemCallFilter=",
        strerror(error)));
  }
  if (error == ENOMEM) {
    return absl::ResourceExhaustedError(
        "the kernel has no memory for an io_uring: raise the limit on locked memory (`ulimit -l`, LimitMEMLOCK= under "
        "systemd) to 64 MiB or more");
  }
  if (error == EINVAL) {
    return absl::UnimplementedError(
        "this kernel's io_uring is too old: Postern needs Linux 6.1 or newer (see `uname -r`)");
  }
  return absl::InternalError(absl::StrFormat("io_uring cannot be set up: %s", strerror(error)));
}

}  // namespace

uint64_t pack(Tag tag) {
  return static_cast<uint64_t>(tag.operation) << 56 | static_cast<uint64_t>(tag.index & (Tag::index_max - 1)) << 32 |
         tag.generation;
}

Tag unpack(uint64_t value) {
  return {static_cast<uint8_t>(value >> 56), static_cast<uint32_t>(value >> 32) & (Tag::index_max - 1),
          static_cast<uint32_t>(value)};
}

absl::StatusOr<std::unique_ptr<Ring>> Ring::create(const RingOptions& options) {
  std::unique_ptr<Ring> ring(new Ring());
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  params.cq_entries = options.completions;
  int error = io_uring_queue_init_params(options.submissions, &ring->ring_, &params);
  if (error < 0) return explain(-error);
  ring->is_set_up_ = true;
  // A few nanoseconds a system call; a kernel that refuses loses nothing else.
  (void)io_uring_register_ring_fd(&ring->ring_);
  error = io_uring_register_files_sparse(&ring->ring_, options.files);
  if (error < 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "a table of %u descriptors cannot be registered with io_uring: %s. Raise the limit on open files (`ulimit -n`, "
        "LimitNOFILE= under systemd) to at least that number, or lower limits.sessions",
        options.files, strerror(-error)));
  }
  if (options.accepted_files != 0) {
    error = io_uring_register_file_alloc_range(&ring->ring_, 0, options.accepted_files);
    if (error < 0) return explain(-error);
  }
  if (!options.floor_features) ring->probe();
  return ring;
}

Ring::~Ring() {
  if (is_set_up_) io_uring_queue_exit(&ring_);
}

// Asks for a socket option through the ring, once, on a socket that is thrown away.
void Ring::probe() {
  const int socket_fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return;
  int value = 0;
  io_uring_sqe* entry = next();
  prepare_option(entry, socket_getsockopt, socket_fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value);
  entry->user_data = probe_data;
  io_uring_cqe* answer = nullptr;
  if (io_uring_submit_and_wait(&ring_, 1) >= 0 && io_uring_wait_cqe(&ring_, &answer) == 0) {
    features_.socket_options = answer->res >= 0;
    io_uring_cqe_seen(&ring_, answer);
  }
  ::close(socket_fd);
}

io_uring_sqe* Ring::next() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry != nullptr) return entry;
  io_uring_submit(&ring_);
  entry = io_uring_get_sqe(&ring_);
  CHECK(entry != nullptr);
  return entry;
}

void Ring::make_room(unsigned count) {
  if (io_uring_sq_space_left(&ring_) < count) io_uring_submit(&ring_);
}

void Ring::accept_all(int listener, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_multishot_accept_direct(entry, listener, nullptr, nullptr, 0);
  set_tag(entry, tag);
}

void Ring::accept_one(int listener, sockaddr_storage* address, socklen_t* size, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_accept(entry, listener, reinterpret_cast<sockaddr*>(address), size, 0);
  // liburing 2.3's own helper mistakes "any free place" for a number.
  entry->file_index = IORING_FILE_INDEX_ALLOC;
  set_tag(entry, tag);
}

void Ring::get_peer(uint32_t place, sockaddr_storage* address, socklen_t size, Tag tag) {
  io_uring_sqe* entry = next();
  prepare_option(entry, socket_getsockopt, static_cast<int>(place), SOL_SOCKET, SO_PEERNAME, address, size);
  entry->flags |= IOSQE_FIXED_FILE;
  set_tag(entry, tag);
}

void Ring::set_option(uint32_t place, int level, int name, const int* value, Tag tag) {
  io_uring_sqe* entry = next();
  prepare_option(entry, socket_setsockopt, static_cast<int>(place), level, name, const_cast<int*>(value),
                 sizeof *value);
  entry->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  set_tag(entry, tag);
}

void Ring::connect_at(uint32_t place, const sockaddr_storage& address, socklen_t size, Tag tag, Tag setup_tag) {
  static constexpr int on = 1;
  make_room(4);
  if (features_.socket_options) {
    io_uring_sqe* open = next();
    // Place N is written as N + 1; liburing 2.3 has no helper that sets flags beside it.
    io_uring_prep_socket_direct(open, address.ss_family, SOCK_STREAM, 0, place, 0);
    open->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    set_tag(open, setup_tag);
    set_option(place, IPPROTO_TCP, TCP_NODELAY, &on, setup_tag);
    set_option(place, SOL_SOCKET, SO_KEEPALIVE, &on, setup_tag);
  } else {
    // The floor: a descriptor of the process, only until the table has it.
    const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
      (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      (void)io_uring_register_files_update(&ring_, place, &fd, 1);
      ::close(fd);
    }
    // Without a descriptor the place is empty and the connect below fails: one path for all failures.
  }
  io_uring_sqe* entry = next();
  io_uring_prep_connect(entry, static_cast<int>(place), reinterpret_cast<const sockaddr*>(&address), size);
  entry->flags |= IOSQE_FIXED_FILE;
  set_tag(entry, tag);
}

void Ring::connect(int fd, const sockaddr* address, socklen_t size, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_connect(entry, fd, address, size);
  set_tag(entry, tag);
}

void Ring::receive(File file, uint16_t group, bool poll_first, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_recv(entry, file.number, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = group;
  if (poll_first) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
  set_file(entry, file);
  set_tag(entry, tag);
}

void Ring::receive_into(File file, std::span<char> bytes, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_recv(entry, file.number, bytes.data(), bytes.size(), 0);
  set_file(entry, file);
  set_tag(entry, tag);
}

void Ring::send(File file, std::span<const char> bytes, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_send(entry, file.number, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL);
  set_file(entry, file);
  set_tag(entry, tag);
}

void Ring::poll_readable(File file, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_poll_add(entry, file.number, POLLIN);
  set_file(entry, file);
  set_tag(entry, tag);
}

void Ring::splice(File from, File to, uint32_t size, bool wait, Tag tag) {
  unsigned flags = SPLICE_F_MOVE;
  if (!wait) flags |= SPLICE_F_NONBLOCK;
  if (from.direct) flags |= SPLICE_F_FD_IN_FIXED;
  io_uring_sqe* entry = next();
  io_uring_prep_splice(entry, from.number, -1, to.number, -1, size, flags);
  set_file(entry, to);
  set_tag(entry, tag);
}

void Ring::shut_down_sending(File file, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_shutdown(entry, file.number, SHUT_WR);
  set_file(entry, file);
  set_tag(entry, tag);
}

void Ring::read(int fd, std::span<char> bytes, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_read(entry, fd, bytes.data(), static_cast<unsigned>(bytes.size()), 0);
  set_tag(entry, tag);
}

void Ring::cancel_all(uint32_t place, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_cancel_fd(entry, static_cast<int>(place), IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD_FIXED);
  set_tag(entry, tag);
}

void Ring::close(uint32_t place, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_close_direct(entry, place);
  set_tag(entry, tag);
}

void Ring::close_in_order(uint32_t first, Tag first_tag, uint32_t second, Tag second_tag) {
  make_room(2);
  io_uring_sqe* entry = next();
  io_uring_prep_close_direct(entry, first);
  // Hard: an error of the first must not keep the second open.
  entry->flags |= IOSQE_IO_HARDLINK;
  set_tag(entry, first_tag);
  close(second, second_tag);
}

void Ring::cancel(Tag target, Tag tag) {
  io_uring_sqe* entry = next();
  io_uring_prep_cancel64(entry, pack(target), 0);
  set_tag(entry, tag);
}

void Ring::wait(std::optional<std::chrono::nanoseconds> timeout) {
  io_uring_cqe* first = nullptr;
  int result;
  if (timeout) {
    const auto count = timeout->count();
    __kernel_timespec limit{count / 1'000'000'000, count % 1'000'000'000};
    result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
  } else {
    result = io_uring_submit_and_wait(&ring_, 1);
  }
  // EBUSY: parked completions must be drained first, which the caller does next.
  CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN);
}

}  // namespace postern::ring
