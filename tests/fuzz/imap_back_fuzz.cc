// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of an IMAP mail server; dialect.h says what the input means and what is promised.
#include <cstddef>
#include <cstdint>

#include "dialect.h"
#include "protocol/imap/back.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::fuzz::fuzz_back<postern::imap::Back>(data, size);
  return 0;
}
