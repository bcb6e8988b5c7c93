// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a load balancer. The first byte says how the rest is cut. Whatever comes: the same bytes
// give the same answer in any pieces, and the header takes no byte that it does not have.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "protocol/proxy_header/reader.h"

namespace {

using namespace postern::proxy_header;

// The answer, and how many bytes are the header's.
std::string read(std::string_view bytes, size_t piece) {
  Reader reader;
  size_t consumed = 0;
  while (!bytes.empty()) {
    const std::string_view next = bytes.substr(0, piece);
    const Step step = reader.feed(next);
    if (const Bad* bad = std::get_if<Bad>(&step)) return std::string(bad_word(*bad));
    if (const Header* header = std::get_if<Header>(&step)) {
      EXPECT_OR_DIE(header->consumed <= next.size());
      const Proxied* proxied = std::get_if<Proxied>(&header->from);
      return (proxied == nullptr ? "local" : proxied->source.text() + " " + proxied->destination.text()) + " " +
             std::to_string(consumed + header->consumed);
    }
    consumed += next.size();
    EXPECT_OR_DIE(consumed < 16 + v2_rest_max);
    bytes.remove_prefix(next.size());
  }
  return "more";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = read(bytes, bytes.size() + 1);
  EXPECT_OR_DIE(read(bytes, 1) == whole);
  EXPECT_OR_DIE(read(bytes, 1 + data[0] % 64) == whole);
  return 0;
}
