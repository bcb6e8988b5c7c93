// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a ManageSieve mail program; dialect.h says what the input means and what is promised. Bit
// 32: what the mail servers can do is known; 64: tokens too; 128: the mail servers are strangers as well, and say the
// input. Whatever they say, a greeting is a list of capabilities and an OK.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dialect.h"
#include "protocol/line/word.h"
#include "protocol/sieve/front.h"
#include "protocol/sieve/text.h"

namespace {

using postern::protocol::FrontOptions;
using postern::protocol::Mechanism;
using postern::sieve::Front;
using postern::sieve::String;

FrontOptions options_of(unsigned choice) {
  FrontOptions options = postern::fuzz::options_of(choice);
  if ((choice & 32) != 0) {
    options.learned = "\"SIEVE\" \"fileinto \\\"x\\\"\"\n\"NOTIFY\" {4}\n\"OWNER\" \"joe\"\n\"LANGUAGE\" \"" +
                      std::string(1100, 'x') + "\"";
  }
  if ((choice & 64) != 0) {
    options.means.mechanisms.add(Mechanism::OAuthBearer);
    options.means.mechanisms.add(Mechanism::XOAuth2);
  }
  return options;
}

// The longest list is that of CAPABILITY: six of them, one with a literal, and OK. Elsewhere a literal in TAG, or a BYE
// behind the answer.
size_t lines_max(std::string_view said) {
  return said.starts_with("\"IMPLEMENTATION\" ") ? 8 : 2;
}

bool take(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

void check_greeting(unsigned choice, std::string_view learned) {
  FrontOptions options = options_of(choice);
  options.learned = std::string(learned);
  const bool inside_tls = options.tls_active;
  const std::string greeting = Front(std::move(options)).greeting();
  std::string_view rest = greeting;
  bool has_sieve = false;
  while (!take(rest, "OK ")) {
    String name, value;
    EXPECT_OR_DIE(postern::sieve::take_string(rest, name));
    if (take(rest, " ")) EXPECT_OR_DIE(postern::sieve::take_string(rest, value));
    EXPECT_OR_DIE(take(rest, "\r\n"));
    EXPECT_OR_DIE(!inside_tls || !postern::line::same_word(name.text(), "STARTTLS"));
    EXPECT_OR_DIE(!postern::line::same_word(name.text(), "OWNER"));
    has_sieve |= postern::line::same_word(name.text(), "SIEVE");
  }
  String text;
  EXPECT_OR_DIE(has_sieve);
  EXPECT_OR_DIE(postern::sieve::take_string(rest, text));
  EXPECT_OR_DIE(rest == "\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::fuzz::fuzz_front<Front>(data, size, options_of, lines_max);
  if (size < 2 || (data[0] & 128) == 0) return 0;
  check_greeting(data[0], {reinterpret_cast<const char*>(data) + 2, size - 2});
  return 0;
}
