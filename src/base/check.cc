// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace postern {

void check_failed(const char* file, int line, const char* promise) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, promise);
  std::abort();
}

}  // namespace postern
