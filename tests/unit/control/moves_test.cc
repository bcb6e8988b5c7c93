// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/moves.h"

#include <gtest/gtest.h>

namespace postern::session {
namespace {

const Instant start{std::chrono::hours(1)};
const Endpoint old_place = *Endpoint::parse("10.0.0.1:143"), new_place = *Endpoint::parse("10.0.0.2:143"),
               third_place = *Endpoint::parse("10.0.0.3:143");

auth::Route to(const Endpoint& back) {
  auth::Route route;
  route.backs = {back};
  return route;
}

TEST(Moves, HoldsThenLeadsUntilTheHelperSaysSomethingElse) {
  Moves moves;
  ASSERT_TRUE(moves.begin("Joe", new_place, start + std::chrono::seconds(5)));
  EXPECT_EQ(moves.held_until("joe", start), start + std::chrono::seconds(5));
  EXPECT_FALSE(moves.held_until("ann", start));
  EXPECT_FALSE(moves.held_until("joe", start + std::chrono::seconds(5)));
  for (int login = 0; login < 3; ++login) {
    auth::Route route = to(old_place);
    moves.lead("JOE", route);
    EXPECT_EQ(route.backs, std::vector<Endpoint>{new_place});
  }
  auth::Route route = to(third_place);
  moves.lead("joe", route);
  EXPECT_EQ(route.backs, std::vector<Endpoint>{third_place}) << "the helper knows better by now";
  route = to(old_place);
  moves.lead("joe", route);
  EXPECT_EQ(route.backs, std::vector<Endpoint>{old_place}) << "and the move is over";
}

TEST(Moves, AHelperThatKnowsTheNewPlaceIsNotLed) {
  Moves moves;
  ASSERT_TRUE(moves.begin("joe", new_place, start));
  auth::Route route = to(new_place);
  route.backs.push_back(third_place);
  moves.lead("joe", route);
  EXPECT_EQ(route.backs.size(), 2u);
  EXPECT_FALSE(moves.forget("joe"));
}

TEST(Moves, WithoutAPlaceOnlyTheTimeCounts) {
  Moves moves;
  ASSERT_TRUE(moves.begin("joe", std::nullopt, start + std::chrono::seconds(1)));
  EXPECT_TRUE(moves.held_until("joe", start));
  EXPECT_FALSE(moves.held_until("joe", start + std::chrono::seconds(2)));
  EXPECT_FALSE(moves.forget("joe"));
}

TEST(Moves, AreBounded) {
  Moves moves;
  for (size_t i = 0; i < Moves::moves_max; ++i)
    ASSERT_TRUE(moves.begin("user" + std::to_string(i), new_place, start));
  EXPECT_FALSE(moves.begin("one-more", new_place, start));
  EXPECT_TRUE(moves.begin("USER7", old_place, start)) << "who moves already may move again";
}

}  // namespace
}  // namespace postern::session
