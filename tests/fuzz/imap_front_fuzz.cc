// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of an IMAP mail program; dialect.h says what the input means and what is promised.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dialect.h"
#include "protocol/imap/front.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // An untagged line and the answer.
  const auto lines_max = [](std::string_view) -> size_t { return 2; };
  postern::fuzz::fuzz_front<postern::imap::Front>(data, size, postern::fuzz::options_of, lines_max);
  return 0;
}
