// SPDX-License-Identifier: GPL-3.0-or-later
// What a fuzz target promises, in every build: CHECK belongs to the gate, assert goes away.
#pragma once

#include <cstdio>
#include <cstdlib>

#define EXPECT_OR_DIE(promise)                                                           \
  do {                                                                                   \
    if (!(promise)) {                                                                    \
      std::fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #promise); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
