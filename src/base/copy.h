// SPDX-License-Identifier: GPL-3.0-or-later
// copy_bytes: memcpy for the data path.
//
// From 2,112 bytes upwards glibc copies with `rep movsb` where the processor promises that to be fast. On AMD's Zen 3
// the promise breaks when the target lies up to 63 bytes ahead of the source modulo the page size: 16 KiB then take 5
// to 8 µs instead of 0.25, more than their encryption. TLS framing moves bytes by just such distances.
#pragma once

#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace postern {

inline constexpr size_t fast_copy_max = 2048;

// The ranges must not overlap. Nowhere slower than memcpy.
inline void copy_bytes(char* to, const char* from, size_t size) {
  while (size != 0) {
    size_t piece = std::min(size, fast_copy_max);
    asm("" : "+r"(piece));  // a compiler that knows the bound writes `rep movsq` itself
    memcpy(to, from, piece);
    to += piece;
    from += piece;
    size -= piece;
  }
}

// Whether a plain memcpy of these would meet the slow case: for code that is not ours. `slack` widens the distance by
// bytes that may yet be put before the target.
inline bool copies_slowly(const char* to, const char* from, size_t size, size_t slack) {
  const size_t ahead = (reinterpret_cast<uintptr_t>(to) + slack - reinterpret_cast<uintptr_t>(from)) % 4096;
  return size > fast_copy_max && ahead < 64 + slack;
}

}  // namespace postern
