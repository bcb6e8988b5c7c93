// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a ManageSieve mail server; dialect.h says what the input means and what is promised. Bit
// 32: a token instead of the password; 64: only what it can do is asked; 128: SASL's LOGIN. With STARTTLS, the list
// inside TLS too may come in any pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dialect.h"
#include "protocol/sieve/back.h"

namespace {

using postern::protocol::BackLogin;
using postern::protocol::BackTlsPlan;
using postern::protocol::Mechanism;
using postern::sieve::Back;

BackLogin login_of(unsigned choice) {
  if ((choice & 64) != 0) return {.probe = true};
  BackLogin login = postern::fuzz::login_of(choice);
  if ((choice & 128) != 0) login.mechanism = Mechanism::SaslLogin;
  if ((choice & 32) != 0) login.mechanism = (choice & 4) != 0 ? Mechanism::OAuthBearer : Mechanism::XOAuth2;
  return login;
}

// What stands before the first NUL comes in clear, what stands behind it through TLS.
std::string play_with_tls(unsigned choice, std::string_view bytes, size_t piece) {
  postern::test::BackPlay<Back> play(login_of(choice), {}, BackTlsPlan::StartTls);
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  play.feed(bytes.substr(0, end));
  if (end == bytes.size() || !play.transcript().ends_with("<tls>")) return play.transcript();
  play.back().tls_started();
  for (bytes.remove_prefix(end + 1); bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::fuzz::fuzz_back<Back>(data, size, {.login = login_of});
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = play_with_tls(data[0], bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play_with_tls(data[0], bytes, 1) == whole);
  EXPECT_OR_DIE(play_with_tls(data[0], bytes, 1 + data[1] % 64) == whole);
  return 0;
}
