// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/filter.h"

#include <gtest/gtest.h>

namespace postern::control {
namespace {

absl::StatusOr<Filter> filter_of(std::string_view line) {
  auth::Form form;
  EXPECT_EQ(form.read(line), auth::FormFault::None);
  return Filter::of(form);
}

session::Facts joe() {
  session::Facts facts;
  facts.id = 0x00ff;
  facts.state = "Relaying";
  facts.user = "Joe@example.test";
  facts.front = *Endpoint::parse("192.0.2.7:4711");
  facts.local = *Endpoint::parse("192.0.2.1:993");
  facts.back = *Endpoint::parse("10.0.0.5:143");
  return facts;
}

TEST(Filter, EachKeyMatchesAndExcludes) {
  for (const char* line : {"", "user=joe%40EXAMPLE.test", "session=00000000000000ff", "protocol=imap", "state=relaying",
                           "front=192.0.2.0/24", "front=192.0.2.7", "back=10.0.0.5", "back=10.0.0.5:143", "port=993",
                           "user=joe%40example.test&port=993&back=10.0.0.0/8"}) {
    const auto filter = filter_of(line);
    ASSERT_TRUE(filter.ok()) << line;
    EXPECT_TRUE(filter->matches(joe())) << line;
  }
  for (const char* line :
       {"user=joe", "session=00000000000000fe", "protocol=pop3", "state=closing", "front=198.51.100.0/24",
        "back=10.0.0.6", "back=10.0.0.5:144", "port=143", "user=joe%40example.test&port=143"}) {
    const auto filter = filter_of(line);
    ASSERT_TRUE(filter.ok()) << line;
    EXPECT_FALSE(filter->matches(joe())) << line;
  }
}

TEST(Filter, WhatCannotBeUnderstoodIsNamed) {
  for (const char* line : {"session=12", "session=xxxxxxxxxxxxxxxx", "protocol=smtp", "front=somewhere", "back=store1",
                           "port=0", "port=65536", "front=192.0.2.7:993"}) {
    const auto filter = filter_of(line);
    ASSERT_FALSE(filter.ok()) << line;
    EXPECT_NE(filter.status().message().find(": this must be "), absl::string_view::npos) << line;
  }
}

TEST(Filter, ASessionWithoutAMailServerMatchesNoMailServer) {
  session::Facts facts = joe();
  facts.back.reset();
  EXPECT_FALSE(filter_of("back=0.0.0.0/0")->matches(facts));
  EXPECT_TRUE(filter_of("")->is_everything());
  EXPECT_FALSE(filter_of("port=993")->is_everything());
}

}  // namespace
}  // namespace postern::control
