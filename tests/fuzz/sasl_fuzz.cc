// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger's side of a SASL exchange. The first byte chooses what the connection offers and whose keys are known; then
// come lines: the mechanism, and one for each turn. A line that begins with "~" is sent as base64 of its rest, so that
// messages are within a fuzzer's reach. Whatever comes: the exchange ends or asks again, who we would ask about is
// whole, and a proof is right only where keys were known.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "expect.h"
#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/exchange.h"
#include "protocol/sasl/message.h"

namespace {

using postern::ScramKeys;
using postern::Secret;
using postern::protocol::Credentials;
using postern::protocol::Mechanism;
using postern::sasl::Challenge;
using postern::sasl::Exchange;
using postern::sasl::Failure;
using postern::sasl::Means;
using postern::sasl::Sha256;
using postern::sasl::Step;
using postern::sasl::WantsKeys;

// Arithmetic that a fuzzer can do: the hash of a key is the key, and every signature is made of zeros. So the right
// proof is the stored key itself.
Sha256 itself(std::string_view text) {
  Sha256 digest{};
  std::copy_n(text.begin(), std::min(text.size(), digest.size()), digest.begin());
  return digest;
}
Sha256 zeros(std::string_view, std::string_view) {
  return {};
}
void not_random(std::span<char> bytes) {
  std::fill(bytes.begin(), bytes.end(), 'r');
}
std::string_view pepper() {
  return "pepper";
}
constexpr postern::sasl::Primitives primitives{itself, zeros, not_random, pepper};

Means means_of(unsigned choice) {
  Means means{.primitives = &primitives};
  for (const auto mechanism : {Mechanism::Plain, Mechanism::SaslLogin, Mechanism::OAuthBearer, Mechanism::XOAuth2,
                               Mechanism::External, Mechanism::ScramSha256})
    means.mechanisms.add(mechanism);
  if ((choice & 1) != 0) {
    means.mechanisms.add(Mechanism::ScramSha256Plus);
    means.channel_bindings = {{"tls-exporter", "exported"}};
  }
  return means;
}

bool knows_keys(unsigned choice) {
  return (choice & 2) != 0;
}

ScramKeys known_keys() {
  const std::string key(ScramKeys::key_size, 'k');
  return {ScramKeys::iterations_min, "salt", Secret(key), Secret(key)};
}

bool has_nul(std::string_view text) {
  return text.find('\0') != text.npos;
}

void check(const Credentials& credentials, unsigned choice) {
  const Mechanism mechanism = credentials.mechanism;
  const bool external = mechanism == Mechanism::External;
  EXPECT_OR_DIE(!has_nul(credentials.user) && !has_nul(credentials.authzid));
  EXPECT_OR_DIE(!has_nul(credentials.password.reveal()));
  EXPECT_OR_DIE(credentials.authzid.empty() || credentials.authzid != credentials.user);
  EXPECT_OR_DIE(credentials.user.empty() ? external || mechanism == Mechanism::OAuthBearer : !external);
  EXPECT_OR_DIE(credentials.password.empty() == (external || is_scram(mechanism)));
  EXPECT_OR_DIE(!credentials.proof_wrong || is_scram(mechanism));
  EXPECT_OR_DIE(!is_scram(mechanism) || credentials.proof_wrong || knows_keys(choice));
}

// What a mechanism with one message says, a mail server must understand the same way when we say it.
void check_round_trip(const Credentials& credentials, const Means& means) {
  const Mechanism mechanism = credentials.mechanism;
  if (is_scram(mechanism) || mechanism == Mechanism::SaslLogin || mechanism == Mechanism::External) return;
  postern::protocol::BackLogin login{.user = credentials.user, .password = credentials.password.clone()};
  if (!credentials.authzid.empty()) {
    login.user = credentials.authzid;
    login.master = credentials.user;
  }
  // There a ^A would end the name or the token.
  if (is_token(mechanism) && (login.user + std::string(login.password.reveal())).find('\1') != std::string::npos)
    return;
  login.mechanism = mechanism;
  const Secret message = postern::sasl::client_message(login);
  const Step step = Exchange::of(mechanism_word(mechanism), means)->begin(message.reveal());
  const Credentials* again = std::get_if<Credentials>(&step);
  EXPECT_OR_DIE(again != nullptr);
  EXPECT_OR_DIE(again->user == credentials.user && again->authzid == credentials.authzid);
  EXPECT_OR_DIE(again->password == credentials.password);
}

std::string take_turn(std::string_view& lines) {
  const std::string_view line = postern::line::take_line(lines);
  return line.starts_with('~') ? postern::sasl::base64_encode(line.substr(1)) : std::string(line);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const unsigned choice = data[0];
  std::string_view lines(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Means means = means_of(choice);
  std::optional<Exchange> exchange = Exchange::of(postern::line::take_line(lines), means);
  if (!exchange) return 0;
  const ScramKeys keys = known_keys();
  Step step = (choice & 4) != 0 ? exchange->begin(std::nullopt) : exchange->begin(take_turn(lines));
  for (;;) {
    if (const auto* challenge = std::get_if<Challenge>(&step)) {
      std::string bytes;
      EXPECT_OR_DIE(postern::sasl::base64_decode(challenge->base64, bytes));
      if (lines.empty()) return 0;
      step = exchange->answer(take_turn(lines));
    } else if (const auto* wanted = std::get_if<WantsKeys>(&step)) {
      EXPECT_OR_DIE(!wanted->user.empty() && !has_nul(wanted->user));
      step = exchange->keys(knows_keys(choice) ? &keys : nullptr);
    } else if (const auto* credentials = std::get_if<Credentials>(&step)) {
      check(*credentials, choice);
      check_round_trip(*credentials, means);
      return 0;
    } else {
      return 0;
    }
  }
}
