// SPDX-License-Identifier: GPL-3.0-or-later
// What `postern-auth conform` shows of a conversation: no secret, no byte that a terminal would act on, no endless line.
#include <gtest/gtest.h>

#include <string>

#include "helper/conform/show.h"

namespace postern::helper::conform {
namespace {

using std::string_view_literals::operator""sv;

TEST(Shown, SecretsAreMasked) {
  EXPECT_EQ(shown("op=verify&id=1&user=joe&password=s3cret"), "op=verify&id=1&user=joe&password=***");
  EXPECT_EQ(shown("master_password=a&token=b&salt=c&stored_key=d&server_key=e"),
            "master_password=***&token=***&salt=***&stored_key=***&server_key=***");
  EXPECT_EQ(shown("pass%77ord=s3cret"), "password=***") << "a key may be written in other ways";
  EXPECT_EQ(shown("password=s3cret%"), "(malformed)") << "and a broken value may be a secret";
  EXPECT_EQ(shown("password="), "password=") << "that it was empty is no secret";
}

TEST(Shown, NothingReachesATerminalAsItIs) {
  EXPECT_EQ(shown("user=\x1b[2J\0\xff"sv), "user=%1B%5B2J%00%FF");
  EXPECT_EQ(shown("EHLO example"), "EHLO+example");
  EXPECT_EQ(shown("a=1&&b=2"), "a=1&&b=2");
  EXPECT_EQ(shown(""), "");
}

TEST(Shown, LongLinesAreCut) {
  EXPECT_LT(shown("user=" + std::string(10000, 'x')).size(), 200u);
}

TEST(Transcript, ShowsTheFirstLinesAndCountsTheOthers) {
  Transcript transcript;
  EXPECT_EQ(transcript.text(), "nothing");
  transcript.add("id=1\nid=2\n");
  EXPECT_EQ(transcript.text(), "id=1 ; id=2");
  transcript.add("password=x");
  EXPECT_EQ(transcript.text(), "id=1 ; id=2 ; ... (3 lines)");
}

}  // namespace
}  // namespace postern::helper::conform
