// SPDX-License-Identifier: GPL-3.0-or-later
// The table of settings: each is declared once, with its type, range, sentence and the field it fills. The checker, the
// manual page and `postern --settings` all read this table; defaults are read from the options structs themselves.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace postern::config {

// What stands in the file.
enum class Kind : uint8_t {
  Bool,       // true or false
  Count,      // a whole number
  Duration,   // "500ms", "5s", "31m", "12h", "2d"
  Size,       // "512B", "64KiB", "1MiB"
  Choice,     // one of some words
  Name,       // ours, for logs and for reference: letters, digits, ".", "-", "_"
  Host,       // a DNS name or an address
  Path,       // from the root
  Endpoints,  // a list of "address:port"
  Networks,   // a list of "address/bits"
  Members,    // a list of "host:port", with or without " weight=N" behind it
  Choices,    // a list of some of the words
  Names,      // a list of Name
  Texts,      // a list of printable texts
};

struct Type {
  Kind kind;
  // Inclusive. Count: the number; Duration: milliseconds; Size: bytes; lists: entries; Path: bytes.
  uint64_t min = 0;
  uint64_t max = 0;
  std::span<const std::string_view> words;  // Choice and Choices: in the order of the enum's values
};

// An enum class of one byte, reached through unsigned char, which may alias anything.
struct ChoiceField {
  unsigned char* at;
};

// Where a value goes.
using Field =
    std::variant<bool*, uint32_t*, uint64_t*, Duration*, std::string*, std::vector<Endpoint>*, std::vector<Network>*,
                 std::vector<session::MemberOptions>*, std::vector<std::string>*, protocol::Mechanisms*, ChoiceField>;

struct Setting {
  std::string_view section;
  std::string_view name;
  Type type;
  Field (*field)(Config&);    // of the last element where the section may stand several times
  std::string_view sentence;  // for people; full sentences
  std::string_view unset;     // what an empty default means; where it is empty too, the setting must be written
  std::string_view example;   // as in the file; empty: the default is the example
};

struct Section {
  std::string_view name;  // "auth.cache"
  std::string_view sentence;
  size_t count_max = 1;            // more than 1: [[name]], once for each of them
  void (*add)(Config&) = nullptr;  // appends one more of a repeated section
};

// In the order of the manual. A setting's section is one of sections().
std::span<const Section> sections();
std::span<const Setting> settings();

// nullptr: there is none.
const Setting* find_setting(std::string_view section, std::string_view name);
const Section* find_section(std::string_view name);

// "[auth.cache]" or "[[listen]]".
std::string heading(const Section& section);
std::string heading(std::string_view section);

// A Config with one of each repeated section, so that every setting's field() can be read: the defaults.
Config default_config();

}  // namespace postern::config
