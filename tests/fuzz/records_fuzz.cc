// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger on a TLS port. The first byte says how the rest is cut. Whatever comes: the records are the stream's bytes in
// order, each of the size that its header says, and the same in any pieces; a fault stays; nothing is held without need.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "tls/records.h"

namespace {

using postern::tls::RecordReader;

// All records behind each other, and the fault.
std::string read(std::string_view stream, size_t piece) {
  RecordReader reader;
  std::string records;
  size_t fed = 0;
  while (fed < stream.size()) {
    std::span<const char> bytes(stream.substr(fed, piece));
    fed += bytes.size();
    while (const std::optional<std::span<const char>> record = reader.next(bytes)) {
      const auto byte = [&record](size_t index) { return static_cast<uint8_t>((*record)[index]); };
      EXPECT_OR_DIE(record->size() >= RecordReader::header_size);
      EXPECT_OR_DIE(record->size() == RecordReader::header_size + static_cast<size_t>(byte(3) << 8 | byte(4)));
      EXPECT_OR_DIE(record->size() <= RecordReader::header_size + RecordReader::body_size_max);
      records.append(record->data(), record->size());
    }
    EXPECT_OR_DIE(bytes.empty());
    if (reader.fault() == RecordReader::Fault::None) EXPECT_OR_DIE(records.size() + reader.held() == fed);
    if (reader.fault() != RecordReader::Fault::None) EXPECT_OR_DIE(reader.held() == 0);
  }
  EXPECT_OR_DIE(stream.substr(0, records.size()) == records);
  return records + std::to_string(static_cast<int>(reader.fault()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = read(stream, stream.size() + 1);
  EXPECT_OR_DIE(read(stream, 1) == whole);
  EXPECT_OR_DIE(read(stream, 1 + data[0]) == whole);
  return 0;
}
