// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/mechanism.h"

#include "protocol/line/word.h"

namespace postern::protocol {

std::string_view mechanism_word(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::Login:
    case Mechanism::SaslLogin: return "LOGIN";
    case Mechanism::ScramSha256Plus: return "SCRAM-SHA-256-PLUS";
    case Mechanism::ScramSha256: return "SCRAM-SHA-256";
    case Mechanism::Plain: return "PLAIN";
    case Mechanism::OAuthBearer: return "OAUTHBEARER";
    case Mechanism::XOAuth2: return "XOAUTH2";
    case Mechanism::External: return "EXTERNAL";
  }
  return "";
}

std::optional<Mechanism> sasl_mechanism(std::string_view name) {
  for (uint8_t i = static_cast<uint8_t>(Mechanism::ScramSha256Plus); i <= static_cast<uint8_t>(Mechanism::External);
       ++i) {
    const auto mechanism = static_cast<Mechanism>(i);
    if (line::same_word(name, mechanism_word(mechanism))) return mechanism;
  }
  return std::nullopt;
}

}  // namespace postern::protocol
