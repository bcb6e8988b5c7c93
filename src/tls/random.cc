// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/random.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>

#include "base/check.h"
#include "base/secret.h"

namespace postern::tls {
namespace {

// getrandom(2) costs a system call; a TLS handshake asks for a few dozen bytes some ten times.
constexpr size_t pool_size = 1024;

struct Pool {
  unsigned char bytes[pool_size];
  size_t left = 0;
  ~Pool() { wipe(bytes, sizeof bytes); }
};

thread_local Pool pool;

// A child begins with a copy of the forking thread's pool; that thread alone lives on in it.
void discard_in_child() {
  pool.left = 0;
}

void fill(unsigned char* out, size_t size) {
  while (size != 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);
    out += got;
    size -= static_cast<size_t>(got);
  }
}

}  // namespace

void random_bytes(void* out, size_t size) {
  static const bool watched = pthread_atfork(nullptr, nullptr, discard_in_child) == 0;
  CHECK(watched);
  auto* target = static_cast<unsigned char*>(out);
  if (size > pool_size) return fill(target, size);
  if (pool.left < size) {
    fill(pool.bytes, pool_size);
    pool.left = pool_size;
  }
  unsigned char* source = pool.bytes + pool_size - pool.left;
  memcpy(target, source, size);
  wipe(source, size);
  pool.left -= size;
}

uint64_t random_number() {
  uint64_t number;
  random_bytes(&number, sizeof number);
  return number;
}

}  // namespace postern::tls

// The TLS library's generator (see subprojects/wolfssl): without it each session would carry a generator of its own and
// open the kernel's device for it.
extern "C" int postern_rand_block(unsigned char* out, unsigned int size) {
  postern::tls::random_bytes(out, size);
  return 0;
}
