// SPDX-License-Identifier: GPL-3.0-or-later
// A mail program's first bytes, or anybody's. The first byte of the input says how they are cut. Whatever comes: the same
// bytes give the same hello in any pieces, the reader keeps its limits, and what it hands on are the records it was fed.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "tls/client_hello.h"
#include "tls/records.h"

namespace {

using postern::tls::ClientHello;
using postern::tls::ClientHelloReader;
using postern::tls::RecordReader;

std::string describe(const ClientHello& hello) {
  std::string text = postern::tls::version_name(hello.version_max) + (hello.verifies_ecdsa ? " ecdsa " : " rsa ");
  text += hello.server_name;
  for (const std::string& name : hello.alpn)
    text += "|" + name;
  return text;
}

void check(const ClientHello& hello) {
  EXPECT_OR_DIE(hello.server_name.size() <= 255);
  for (const char c : hello.server_name)
    EXPECT_OR_DIE(c < 'A' || c > 'Z');
  EXPECT_OR_DIE(hello.alpn.size() <= 16);
  for (const std::string& name : hello.alpn)
    EXPECT_OR_DIE(name.size() <= 255);
}

// How it ends, as text. No record follows the last one of a hello.
std::string read(std::string_view stream, size_t piece) {
  RecordReader records;
  ClientHelloReader reader;
  std::string fed;
  while (!stream.empty()) {
    std::span<const char> bytes(stream.substr(0, piece));
    stream.remove_prefix(bytes.size());
    while (const std::optional<std::span<const char>> record = records.next(bytes)) {
      fed.append(record->data(), record->size());
      switch (reader.feed(*record)) {
        case ClientHelloReader::Status::NeedRecord: break;
        case ClientHelloReader::Status::Malformed: return "malformed";
        case ClientHelloReader::Status::TooLong: return "too long";
        case ClientHelloReader::Status::Done:
          check(reader.hello());
          EXPECT_OR_DIE(reader.records() == fed);
          return describe(reader.hello());
      }
      EXPECT_OR_DIE(reader.records().size() <= ClientHelloReader::size_max * 5 / 4);
    }
  }
  return "more";
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
