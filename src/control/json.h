// SPDX-License-Identifier: GPL-3.0-or-later
// JSON as the control socket says it. The gate only writes it: its requests are forms (auth/form.h), so no parser of JSON
// ever reads bytes from outside here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace postern::control {

// Members stay in the order in which they are set.
using Json = nlohmann::ordered_json;

// One line without its LF, ASCII alone. Bytes that are no UTF-8 (a mail program's user name may be anything) become
// U+FFFD: nothing in a value can make this fail.
inline std::string text_of(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace postern::control
