// SPDX-License-Identifier: GPL-3.0-or-later
// The dialects that the load generator and the simulated mail server speak.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::wire {

enum class Protocol : uint8_t { Imap, Pop3, Submission };

// By the enum's value: as in a configuration, and in the questions to a helper.
inline constexpr std::array<std::string_view, 3> protocol_words = {"imap", "pop3", "submission"};

constexpr std::string_view protocol_word(Protocol protocol) {
  return protocol_words[static_cast<size_t>(protocol)];
}

constexpr std::optional<Protocol> protocol_of(std::string_view word) {
  for (size_t i = 0; i < protocol_words.size(); ++i) {
    if (protocol_words[i] == word) return static_cast<Protocol>(i);
  }
  return std::nullopt;
}

}  // namespace postern::wire
