// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/packing.h"

#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

const Endpoint endpoint = *Endpoint::parse("[2001:db8::7]:993");

std::string packed() {
  Packer packer;
  packer.put(uint8_t{7});
  packer.put("joe");
  packer.put(uint64_t{1} << 40);
  packer.put(true);
  packer.put(endpoint);
  packer.put("");
  return std::string(packer.reveal());
}

TEST(Packing, GivesBackWhatWasPut) {
  const std::string bytes = packed();
  Unpacker unpacker(bytes);
  EXPECT_EQ(unpacker.get<uint8_t>(), 7);
  EXPECT_EQ(unpacker.text(), "joe");
  EXPECT_EQ(unpacker.get<uint64_t>(), uint64_t{1} << 40);
  EXPECT_TRUE(unpacker.get<bool>());
  EXPECT_EQ(unpacker.endpoint(), endpoint);
  EXPECT_FALSE(unpacker.whole());
  EXPECT_EQ(unpacker.text(), "");
  EXPECT_TRUE(unpacker.whole());
}

TEST(Packing, EveryCutIsNoticed) {
  const std::string bytes = packed();
  for (size_t size = 0; size < bytes.size(); ++size) {
    Unpacker unpacker(std::string_view(bytes).substr(0, size));
    unpacker.get<uint8_t>();
    unpacker.text();
    unpacker.get<uint64_t>();
    unpacker.get<bool>();
    unpacker.endpoint();
    unpacker.text();
    EXPECT_TRUE(unpacker.failed()) << size;
    EXPECT_FALSE(unpacker.whole()) << size;
  }
}

TEST(Packing, NothingIsReadBehindAFailure) {
  Unpacker unpacker(std::string_view("\x01\x02\x03", 3));
  EXPECT_EQ(unpacker.get<uint32_t>(), 0u);
  EXPECT_EQ(unpacker.get<uint8_t>(), 0);
  EXPECT_EQ(unpacker.endpoint(), Endpoint());
  EXPECT_TRUE(unpacker.failed());
}

// A length from the wrong side must not be believed.
TEST(Packing, ATextLongerThanTheRestIsNone) {
  Packer packer;
  packer.put(uint32_t{0xffffffff});
  Unpacker unpacker(packer.reveal());
  EXPECT_EQ(unpacker.text(), "");
  EXPECT_TRUE(unpacker.failed());
}

}  // namespace
}  // namespace postern
