// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/packing.h"

#include <string.h>

namespace postern {

void Packer::put(std::string_view text) {
  put(static_cast<uint32_t>(text.size()));
  bytes_.append(text);
}

void Packer::put(const Endpoint& endpoint) {
  raw(endpoint.address.data(), endpoint.address.size());
  put(endpoint.port);
  put(endpoint.v6);
}

void Unpacker::raw(void* to, size_t size) {
  failed_ |= size > rest_.size();
  if (failed_) return;
  memcpy(to, rest_.data(), size);
  rest_.remove_prefix(size);
}

std::string_view Unpacker::text() {
  const auto size = get<uint32_t>();
  failed_ |= size > rest_.size();
  if (failed_) return {};
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

Endpoint Unpacker::endpoint() {
  Endpoint endpoint;
  raw(endpoint.address.data(), endpoint.address.size());
  endpoint.port = get<uint16_t>();
  endpoint.v6 = get<bool>();
  return failed_ ? Endpoint() : endpoint;
}

}  // namespace postern
