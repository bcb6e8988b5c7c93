// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a POP3 mail server; dialect.h says what the input means and what is promised. Bit 32: a
// token instead of the password; 64: only what it can do is asked; 128: UTF8 is to be said, and a line break in the
// password leaves only AUTH.
#include <cstddef>
#include <cstdint>

#include "dialect.h"
#include "protocol/pop3/back.h"

namespace {

using postern::Secret;
using postern::protocol::BackIdentity;
using postern::protocol::BackLogin;
using postern::protocol::Mechanism;

BackLogin login_of(unsigned choice) {
  if ((choice & 64) != 0) return {.probe = true};
  BackLogin login = postern::fuzz::login_of(choice);
  if ((choice & 128) != 0) login.password = Secret("pw_\r\n8#");
  if ((choice & 32) != 0) login.mechanism = (choice & 4) != 0 ? Mechanism::OAuthBearer : Mechanism::XOAuth2;
  return login;
}

BackIdentity identity_of(unsigned choice) {
  BackIdentity identity = postern::fuzz::identity_of(choice);
  identity.utf8 = (choice & 128) != 0;
  return identity;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::fuzz::fuzz_back<postern::pop3::Back>(data, size, {login_of, identity_of});
  return 0;
}
