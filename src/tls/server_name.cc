// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/server_name.h"

#include <arpa/inet.h>

#include <cstdint>

#include "absl/strings/str_format.h"

namespace postern::tls {

ServerName ServerName::of(std::string_view name) {
  ServerName result{std::string(name), true};
  uint8_t bytes[16];
  if (inet_pton(AF_INET, result.text.c_str(), bytes) == 1) return result;
  result.is_address = inet_pton(AF_INET6, result.text.c_str(), bytes) == 1;
  if (!result.is_address) return result;
  result.text.clear();
  for (size_t i = 0; i < sizeof bytes; i += 2)
    absl::StrAppendFormat(&result.text, "%s%02X%02X", i == 0 ? "" : ":", bytes[i], bytes[i + 1]);
  return result;
}

}  // namespace postern::tls
