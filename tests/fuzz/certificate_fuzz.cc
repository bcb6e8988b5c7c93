// SPDX-License-Identifier: GPL-3.0-or-later
// A certificate from anybody. Whatever it holds: the subject is one line of well-formed UTF-8, names are free of control
// characters, and the key lies within the certificate.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "tls/distinguished_name.h"
#include "tls/x509.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::tls;
  const std::string_view der(reinterpret_cast<const char*>(data), size);
  const std::string_view key = key_info(der);
  EXPECT_OR_DIE(key.empty() || (key.data() > der.data() && key.data() + key.size() < der.data() + der.size()));
  if (const std::optional<PeerCertificate> peer = read_peer(der)) {
    EXPECT_OR_DIE(!key.empty());
    EXPECT_OR_DIE(peer->fingerprint.size() == 64);
    EXPECT_OR_DIE(peer->subject.empty() || is_shown_text(peer->subject));
    EXPECT_OR_DIE(peer->common_name.empty() || is_shown_text(peer->common_name));
    EXPECT_OR_DIE(peer->email.empty() || is_shown_text(peer->email));
  }
  const std::string binding = end_point_binding(der);
  EXPECT_OR_DIE(binding.empty() || binding.size() == 32 || binding.size() == 48 || binding.size() == 64);
  certificate_expiry(der);
  revocation_list_expiry(der);
  return 0;
}
