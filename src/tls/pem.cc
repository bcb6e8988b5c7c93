// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/pem.h"

#include "absl/strings/escaping.h"

namespace postern::tls {

std::vector<std::string> pem_blocks(PemKind kind, std::string_view pem) {
  const std::string word = kind == PemKind::Certificate ? "CERTIFICATE" : "X509 CRL";
  const std::string begin = "-----BEGIN " + word + "-----";
  const std::string end = "-----END " + word + "-----";
  std::vector<std::string> blocks;
  size_t at = pem.find(begin);
  while (at != pem.npos) {
    const size_t body = at + begin.size();
    at = pem.find(begin, body);
    const std::string_view block = pem.substr(body, at == pem.npos ? at : at - body);
    const size_t size = block.find(end);
    std::string der;
    if (size == block.npos || !absl::Base64Unescape(absl::string_view(block.data(), size), &der)) der.clear();
    blocks.push_back(std::move(der));
  }
  return blocks;
}

std::string certificates_alone(std::string_view pem) {
  constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view end = "-----END CERTIFICATE-----";
  std::string alone;
  for (size_t at = pem.find(begin); at != pem.npos; at = pem.find(begin, at + begin.size())) {
    // Base64 has no dash, so a block without its end stops before anything else can begin.
    const size_t dash = pem.find('-', at + begin.size());
    const bool is_whole = dash != pem.npos && pem.substr(dash).starts_with(end);
    alone.append(pem.substr(at, is_whole ? dash + end.size() - at : dash - at)).push_back('\n');
  }
  return alone;
}

}  // namespace postern::tls
