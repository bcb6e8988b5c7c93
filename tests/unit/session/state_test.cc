// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/state.h"

#include <gtest/gtest.h>

#include <set>

namespace postern::session {
namespace {

template <typename S>
size_t index_of() {
  return State(S()).index();
}

TEST(State, EachHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (size_t i = 0; i < std::variant_size_v<State>; ++i)
    words.insert(state_word(i));
  EXPECT_EQ(words.size(), std::variant_size_v<State>);
  EXPECT_EQ(state_word(index_of<Relaying>()), "Relaying");
  EXPECT_EQ(state_word(99), "unknown");
}

// From everywhere a session may close, and from a closed one nothing comes back.
TEST(State, ClosingIsTheEnd) {
  for (size_t from = 0; from < std::variant_size_v<State>; ++from) {
    EXPECT_EQ(is_legal_move(from, index_of<Closing>()), from != index_of<Closing>()) << state_word(from);
    EXPECT_FALSE(is_legal_move(index_of<Closing>(), from)) << state_word(from);
  }
}

// No way leads to the relay but a login at the mail server, and none of that but a connection.
TEST(State, NobodySkipsTheLogin) {
  for (size_t from = 0; from < std::variant_size_v<State>; ++from) {
    EXPECT_EQ(is_legal_move(from, index_of<Relaying>()), from == index_of<LoggingInBack>()) << state_word(from);
    EXPECT_EQ(is_legal_move(from, index_of<LoggingInBack>()), from == index_of<Connecting>()) << state_word(from);
    // Back to a handshake only from the clear: STARTTLS.
    EXPECT_EQ(is_legal_move(from, index_of<Handshaking>()),
              from == index_of<LoggingIn>() || from == index_of<AwaitingProxyHeader>())
        << state_word(from);
  }
}

}  // namespace
}  // namespace postern::session
