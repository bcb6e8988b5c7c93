// SPDX-License-Identifier: GPL-3.0-or-later
// Words for people: quoting, lists, and the word that was probably meant.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// Control characters and bytes beyond ASCII become \xHH: a sentence stays one line whatever the file holds.
std::string printable(std::string_view text);

// In double quotes, printable, with quotes and backslashes escaped; what is longer than 80 bytes is cut and marked.
std::string quoted(std::string_view text);

// "a", "a" and "b", "a", "b" and "c": with `last` = "and". The words come as they are.
std::string listed(std::span<const std::string> words, std::string_view last);

// The choice that `text` is nearest to, by insertions, deletions, replacements and swaps of neighbours, without regard
// to case; empty where none is near enough to be meant. Equally near ones: the first.
std::string_view nearest(std::string_view text, std::span<const std::string_view> choices);

// "500ms", "31m", "12h": in the largest unit that fits without a rest.
std::string duration_text(uint64_t ms);
// "512B", "64KiB": likewise.
std::string size_text(uint64_t bytes);

}  // namespace postern::config
