// SPDX-License-Identifier: GPL-3.0-or-later
// The small grammar inside a dialog's lines: octets with escapes, words, lengths of time.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace postern::dialog {

// A dialog that cannot be read, or that did not hold: `line` of its file and a sentence.
struct Fault : std::runtime_error {
  Fault(size_t at, const std::string& what) : std::runtime_error(what), line(at) {}
  size_t line;
};

// Resolves the escapes \r \n \t \\ \" \0 \xHH, repetitions {{N*"S"}} and base64 {{base64*"S"}}. Anything else behind a
// backslash is a Fault.
std::string octets_of(std::string_view text, size_t line);

// Printable form for messages: escapes back again, long texts cut in the middle.
std::string shown(std::string_view octets);

// "200ms", "5s", "31m", "2h".
std::optional<Duration> duration_of(std::string_view text);

// One word of an act: VALUE, "VALUE", KEY=VALUE or KEY="VALUE". Quoted values have their escapes resolved.
struct Word {
  std::string key;  // empty: none
  std::string value;
  bool quoted = false;
};
std::vector<Word> words_of(std::string_view text, size_t line);

// The value under that key, or the fallback.
std::string setting(const std::vector<Word>& words, std::string_view key, std::string_view fallback = "");
// Whether the unquoted word stands among them.
bool has_word(const std::vector<Word>& words, std::string_view word);

// Base64 as RFC 4648 has it; nullopt for anything else.
std::string base64_of(std::string_view octets);
std::optional<std::string> octets_of_base64(std::string_view text);

}  // namespace postern::dialog
