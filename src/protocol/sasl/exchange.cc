// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sasl/exchange.h"

#include <utility>

#include "base/secret.h"
#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
using protocol::Mechanism;

// "Username:" and "Password:". LOGIN is no standard; mail programs compare these, so they are as everyone sends them.
constexpr std::string_view ask_user = "VXNlcm5hbWU6";
constexpr std::string_view ask_password = "UGFzc3dvcmQ6";

}  // namespace

std::optional<Exchange> Exchange::of(std::string_view mechanism) {
  if (line::same_word(mechanism, "PLAIN")) return Exchange(Mechanism::Plain);
  if (line::same_word(mechanism, "LOGIN")) return Exchange(Mechanism::SaslLogin);
  return std::nullopt;
}

Step Exchange::begin(std::optional<std::string_view> initial) {
  if (!initial) return Challenge{mechanism_ == Mechanism::SaslLogin ? ask_user : std::string_view()};
  std::string message;
  if (*initial != "=" && !base64_decode(*initial, message)) return Failure::BadBase64;
  return understand(message);
}

Step Exchange::answer(std::string_view line) {
  if (line == "*") return Failure::Cancelled;
  std::string message;
  if (!base64_decode(line, message)) return Failure::BadBase64;
  return understand(message);
}

Step Exchange::understand(std::string& message) {
  Step step = mechanism_ == Mechanism::Plain ? plain(message) : login(message);
  wipe(message);
  return step;
}

// RFC 4616, section 2: [authzid] NUL authcid NUL passwd.
Step Exchange::plain(std::string_view message) {
  const size_t first = message.find('\0');
  const size_t second = first == message.npos ? message.npos : message.find('\0', first + 1);
  if (second == message.npos) return Failure::Malformed;
  const std::string_view authzid = message.substr(0, first);
  const std::string_view user = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (password.find('\0') != password.npos) return Failure::Malformed;
  if (user.empty() || password.empty()) return Failure::Empty;
  // Many mail programs fill in both identities; that asks for nothing special.
  return Credentials{mechanism_, std::string(user), authzid == user ? std::string() : std::string(authzid),
                     Secret(password)};
}

Step Exchange::login(std::string_view message) {
  if (message.find('\0') != message.npos) return Failure::Malformed;
  if (!user_) {
    user_ = std::string(message);
    return Challenge{ask_password};
  }
  if (user_->empty() || message.empty()) return Failure::Empty;
  return Credentials{mechanism_, *std::move(user_), {}, Secret(message)};
}

Secret plain_message(std::string_view authzid, std::string_view user, std::string_view password) {
  std::string message;
  message.reserve(authzid.size() + user.size() + password.size() + 2);
  message.append(authzid).push_back('\0');
  message.append(user).push_back('\0');
  message.append(password);
  std::string base64 = base64_encode(message);
  wipe(message);
  return Secret::take(base64);
}

}  // namespace postern::sasl
