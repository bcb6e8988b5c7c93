// SPDX-License-Identifier: GPL-3.0-or-later
// Random bytes for keys, ids and the TLS library, from the kernel's generator.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::tls {

// Fills `out` from a pool of this thread, which getrandom(2) refills; bytes handed out are erased from the pool. The
// one place of the core that asks the system for something: secrets that a caller passed in would be a worse bargain.
// A forked child draws bytes of its own.
void random_bytes(void* out, size_t size);

// Sixty-four random bits, for a session's id.
uint64_t random_number();

}  // namespace postern::tls
