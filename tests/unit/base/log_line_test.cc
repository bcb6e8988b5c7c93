// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/log_line.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(LogLine, WritesPairs) {
  LogLine line(Severity::Info, "login");
  line.add("user", "joe@example.test").add("bytes", uint64_t{42});
  EXPECT_EQ(line.text(), "login user=joe@example.test bytes=42");
}

// A user name with line ends, quotes or an equals sign stays one quoted value of one ASCII line.
TEST(LogLine, QuotesWhatAPeerCouldForge) {
  LogLine line(Severity::Info, "login");
  line.add("user", "joe\nlogin user=\"ann\\\"\x01\xc3\xa9").add("empty", "");
  EXPECT_EQ(line.text(), "login user=\"joe\\nlogin user=\\\"ann\\\\\\\"\\x01\\xc3\\xa9\" empty=\"\"");
  EXPECT_EQ(LogLine(Severity::Info, "x").add("k", "a=b").text(), "x k=\"a=b\"");
}

TEST(LogLine, CutsLongValues) {
  LogLine line(Severity::Info, "x");
  line.add("k", std::string(300, 'a'));
  EXPECT_EQ(line.text(), "x k=\"" + std::string(LogLine::value_size_max, 'a') + "...\"");
}

}  // namespace
}  // namespace postern
