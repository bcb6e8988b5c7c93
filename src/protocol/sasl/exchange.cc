// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sasl/exchange.h"

#include <utility>

#include "base/check.h"
#include "base/secret.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/message.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
using protocol::Mechanism;

// "Username:" and "Password:". LOGIN is no standard; mail programs compare these, so they are as everyone sends them.
constexpr std::string_view ask_user = "VXNlcm5hbWU6";
constexpr std::string_view ask_password = "UGFzc3dvcmQ6";

}  // namespace

std::optional<Exchange> Exchange::of(std::string_view mechanism, const Means& means) {
  const std::optional<Mechanism> known = protocol::sasl_mechanism(mechanism);
  if (!known || !means.mechanisms.has(*known)) return std::nullopt;
  return Exchange(*known, means);
}

Exchange::Exchange(Mechanism mechanism, const Means& means) : mechanism_(mechanism) {
  if (!protocol::is_scram(mechanism)) return;
  CHECK(means.primitives != nullptr);
  scram_ = std::make_unique<Scram>(*means.primitives, means.channel_bindings, mechanism == Mechanism::ScramSha256Plus);
}

Step Exchange::begin(std::optional<std::string_view> initial) {
  if (!initial) return Challenge{std::string(mechanism_ == Mechanism::SaslLogin ? ask_user : std::string_view())};
  std::string message;
  if (*initial != "=" && !base64_decode(*initial, message)) return Failure::BadBase64;
  return understand(message);
}

Step Exchange::answer(std::string_view line) {
  if (line == "*") return Failure::Cancelled;
  std::string message;
  // "=" stands for nothing in an initial response only, but some mail programs say it here as well.
  if (line != "=" && !base64_decode(line, message)) return Failure::BadBase64;
  return understand(message);
}

Step Exchange::understand(std::string& message) {
  const auto read = [&]() -> Step {
    switch (mechanism_) {
      case Mechanism::Login:
      case Mechanism::Plain: return checked(read_plain(message));
      case Mechanism::SaslLogin: return login(message);
      case Mechanism::OAuthBearer: return checked(read_oauthbearer(message));
      case Mechanism::XOAuth2: return checked(read_xoauth2(message));
      case Mechanism::External: return external(message);
      case Mechanism::ScramSha256:
      case Mechanism::ScramSha256Plus: return scram(message);
    }
    return Failure::Malformed;
  };
  Step step = read();
  wipe(message);
  return step;
}

Step Exchange::checked(std::optional<Credentials> credentials) {
  if (!credentials) return Failure::Malformed;
  const bool named = !credentials->user.empty() || credentials->mechanism == Mechanism::OAuthBearer;
  if (!named || credentials->password.empty()) return Failure::Empty;
  return *std::move(credentials);
}

Step Exchange::login(std::string_view message) {
  if (message.find('\0') != message.npos) return Failure::Malformed;
  if (!user_) {
    user_ = std::string(message);
    return Challenge{std::string(ask_password)};
  }
  if (user_->empty() || message.empty()) return Failure::Empty;
  return Credentials{mechanism_, *std::move(user_), {}, Secret(message)};
}

// RFC 4422, appendix A.1: the message is whom to act as; empty: whoever the certificate is.
Step Exchange::external(std::string_view message) {
  if (message.find('\0') != message.npos) return Failure::Malformed;
  return Credentials{mechanism_, {}, std::string(message), {}};
}

Step Exchange::scram(std::string_view message) {
  switch (scram_step_) {
    case ScramStep::First:
      if (!scram_->first(message)) return Failure::Malformed;
      return WantsKeys{scram_->user(), mechanism_};
    case ScramStep::Last: {
      const Scram::Proof proof = scram_->last(message);
      if (proof == Scram::Proof::Malformed) return Failure::Malformed;
      if (proof == Scram::Proof::Wrong) return Credentials{mechanism_, scram_->user(), scram_->authzid(), {}, true};
      scram_step_ = ScramStep::Proven;
      return Challenge{base64_encode(scram_->server_final())};
    }
    case ScramStep::Proven:
      // The mail program has seen our proof and says nothing to it.
      if (!message.empty()) return Failure::Malformed;
      return Credentials{mechanism_, scram_->user(), scram_->authzid(), {}};
  }
  return Failure::Malformed;
}

Step Exchange::keys(const ScramKeys* keys) {
  CHECK(scram_ != nullptr && scram_step_ == ScramStep::First);
  scram_step_ = ScramStep::Last;
  return Challenge{base64_encode(scram_->challenge(keys))};
}

}  // namespace postern::sasl
