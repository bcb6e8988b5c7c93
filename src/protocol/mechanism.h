// SPDX-License-Identifier: GPL-3.0-or-later
// How a mail program proves itself, and sets of these ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::protocol {

// `Login` is the dialect's own command (IMAP LOGIN, POP3 USER and PASS); the others are SASL mechanisms, in the order in
// which we announce them.
enum class Mechanism : uint8_t {
  Login,
  ScramSha256Plus,  // RFC 5802, 7677: with channel binding
  ScramSha256,
  Plain,        // RFC 4616
  SaslLogin,    // no standard
  OAuthBearer,  // RFC 7628
  XOAuth2,      // no standard: Google's and Microsoft's
  External,     // RFC 4422, appendix A: the TLS client certificate
};

// "LOGIN", "PLAIN": the word for the helper and the log, and SASL's own. LOGIN stands for both the command and the SASL
// mechanism: it is the same to whoever verifies.
std::string_view mechanism_word(Mechanism mechanism);

// The SASL mechanism of that name, in any case; never Login.
std::optional<Mechanism> sasl_mechanism(std::string_view name);

// What is sent is a bearer token instead of a password.
constexpr bool is_token(Mechanism mechanism) {
  return mechanism == Mechanism::OAuthBearer || mechanism == Mechanism::XOAuth2;
}
// The mail program proves that it knows the password without sending anything that could be passed on.
constexpr bool is_scram(Mechanism mechanism) {
  return mechanism == Mechanism::ScramSha256 || mechanism == Mechanism::ScramSha256Plus;
}

class Mechanisms {
 public:
  constexpr Mechanisms() = default;
  constexpr bool has(Mechanism mechanism) const { return (bits_ & bit(mechanism)) != 0; }
  constexpr void add(Mechanism mechanism) { bits_ = static_cast<uint16_t>(bits_ | bit(mechanism)); }
  constexpr void remove(Mechanism mechanism) { bits_ = static_cast<uint16_t>(bits_ & ~bit(mechanism)); }
  constexpr bool empty() const { return bits_ == 0; }
  // Calls `visit(mechanism)` for each SASL mechanism, in the order of the enum.
  template <typename Visit>
  void for_each_sasl(Visit visit) const {
    for (uint8_t i = static_cast<uint8_t>(Mechanism::ScramSha256Plus); i <= static_cast<uint8_t>(Mechanism::External);
         ++i) {
      if (has(static_cast<Mechanism>(i))) visit(static_cast<Mechanism>(i));
    }
  }

  // What is offered where the configuration does not say: the command, PLAIN and LOGIN.
  static constexpr Mechanisms usual() {
    Mechanisms set;
    set.add(Mechanism::Login);
    set.add(Mechanism::Plain);
    set.add(Mechanism::SaslLogin);
    return set;
  }

  friend constexpr bool operator==(Mechanisms left, Mechanisms right) = default;

 private:
  static constexpr unsigned bit(Mechanism mechanism) { return 1u << static_cast<unsigned>(mechanism); }
  uint16_t bits_ = 0;
};

}  // namespace postern::protocol
