// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace postern::reactor {
namespace {

void close_pipe(const Pipe& pipe) {
  ::close(pipe.read_end);
  ::close(pipe.write_end);
}

}  // namespace

PipePool::~PipePool() {
  for (const Pipe& pipe : kept_)
    close_pipe(pipe);
}

std::optional<Pipe> PipePool::take() {
  if (lent_ >= lent_max) return std::nullopt;
  if (!kept_.empty()) {
    const Pipe pipe = kept_.back();
    kept_.pop_back();
    lent_++;
    return pipe;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  // A smaller pipe works too, with more turns.
  (void)::fcntl(ends[1], F_SETPIPE_SZ, pipe_size);
  lent_++;
  return Pipe{ends[0], ends[1]};
}

void PipePool::give(Pipe pipe, bool empty) {
  lent_--;
  if (empty && kept_.size() < kept_max) {
    kept_.push_back(pipe);
  } else {
    close_pipe(pipe);
  }
}

}  // namespace postern::reactor
