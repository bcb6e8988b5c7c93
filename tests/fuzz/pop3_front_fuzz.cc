// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a POP3 mail program; dialect.h says what the input means and what is promised. Bit 32:
// what the mail servers can do is known; 64: XCLIENT is believed; 128: tokens too.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dialect.h"
#include "protocol/pop3/front.h"

namespace {

using postern::protocol::FrontOptions;
using postern::protocol::Mechanism;

FrontOptions options_of(unsigned choice) {
  FrontOptions options = postern::fuzz::options_of(choice);
  if ((choice & 32) != 0) options.learned = "TOP\nUTF8 USER\n.\nX\rY\nSASL EXTERNAL\nPIPELINING";
  options.may_name_address = (choice & 64) != 0;
  if ((choice & 128) != 0) {
    options.means.mechanisms.add(Mechanism::OAuthBearer);
    options.means.mechanisms.add(Mechanism::XOAuth2);
  }
  return options;
}

// The longest list is CAPA's: nine capabilities between its first line and its dot.
size_t lines_max(std::string_view said) {
  return said.starts_with("+OK") && said.ends_with("\r\n.\r\n") ? 11 : 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::fuzz::fuzz_front<postern::pop3::Front>(data, size, options_of, lines_max);
  return 0;
}
