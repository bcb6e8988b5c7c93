// SPDX-License-Identifier: GPL-3.0-or-later
// CHECK: the third kind of failure, ours. It stops the process at once with the place and the broken promise.
//
// A CHECK states what our own code guarantees. Bytes from a peer, an operator's file or the kernel's answer must never
// decide whether it holds: those are a peer's fault (an enum class) or an operator's (an absl::Status).
#pragma once

namespace postern {

// Writes "file:line: check failed: promise" to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* promise);

}  // namespace postern

#define CHECK(promise) \
  (__builtin_expect(!(promise), 0) ? ::postern::check_failed(__FILE__, __LINE__, #promise) : static_cast<void>(0))
