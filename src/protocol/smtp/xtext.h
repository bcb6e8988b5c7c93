// SPDX-License-Identifier: GPL-3.0-or-later
// xtext (RFC 3461, section 4): octets that an SMTP parameter cannot carry, written as "+2B".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::smtp {

std::string write_xtext(std::string_view octets);
// Nothing: not xtext.
std::optional<std::string> read_xtext(std::string_view text);

}  // namespace postern::smtp
