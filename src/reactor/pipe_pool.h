// SPDX-License-Identifier: GPL-3.0-or-later
// PipePool: pipes through which long streams are spliced, lent while bytes move.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace postern::reactor {

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

// One a reactor.
class PipePool {
 public:
  // Each costs two descriptors of the process and up to 256 KiB of the kernel's memory; streams beyond that many go
  // through buffers.
  static constexpr size_t lent_max = 32;
  static constexpr size_t kept_max = 4;
  static constexpr int pipe_size = 256 * 1024;

  PipePool() = default;
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;
  ~PipePool();

  // nullopt: all are lent, or the process has no descriptors left.
  std::optional<Pipe> take();
  // `empty` false: bytes are left in it, so nobody else may have it.
  void give(Pipe pipe, bool empty);

 private:
  std::vector<Pipe> kept_;
  size_t lent_ = 0;
};

}  // namespace postern::reactor
