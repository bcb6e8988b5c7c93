// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/state.h"

#include <iterator>
#include <utility>

namespace postern::session {
namespace {

// The variant's indices, by name.
enum Index : uint8_t { Proxy, Hands, Login, Verify, Delay, Connect, LoginBack, Relay, Close, count };
static_assert(std::variant_size_v<State> == Index::count);
static_assert(std::is_same_v<std::variant_alternative_t<Index::Relay, State>, Relaying>);

constexpr uint16_t bit(Index index) {
  return static_cast<uint16_t>(1u << index);
}

// For each state, those that may follow it.
constexpr uint16_t legal_moves[Index::count] = {
    /* AwaitingProxyHeader */ bit(Hands) | bit(Login) | bit(Close),
    /* Handshaking   */ bit(Login) | bit(Close),
    /* LoggingIn     */ bit(Hands) | bit(Verify) | bit(Delay) | bit(Connect) | bit(Close),
    /* Verifying     */ bit(Login) | bit(Delay) | bit(Connect) | bit(Close),
    /* Delaying      */ bit(Login) | bit(Close),
    /* Connecting    */ bit(Login) | bit(Connect) | bit(LoginBack) | bit(Close),
    /* LoggingInBack */ bit(Login) | bit(Connect) | bit(Relay) | bit(Close),
    /* Relaying      */ bit(Close),
    /* Closing       */ 0,
};

constexpr std::string_view words[Index::count] = {"AwaitingProxyHeader", "Handshaking", "LoggingIn",
                                                  "Verifying",           "Delaying",    "Connecting",
                                                  "LoggingInBack",       "Relaying",    "Closing"};

}  // namespace

std::string_view state_word(size_t index) {
  return index < std::size(words) ? words[index] : "unknown";
}

bool is_legal_move(size_t from, size_t to) {
  return from < std::size(legal_moves) && (legal_moves[from] >> to & 1) != 0;
}

}  // namespace postern::session
