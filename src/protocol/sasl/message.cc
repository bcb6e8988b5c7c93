// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sasl/message.h"

#include <utility>

#include "protocol/line/word.h"
#include "protocol/sasl/base64.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
using protocol::Mechanism;

constexpr char separator = '\x01';
constexpr std::string_view bearer = "Bearer ";

// kvpairs = *( key "=" value kvsep ) kvsep; of the pairs only `auth` matters: host and port name us, as the mail program
// knows us. Nothing: no such pair, or not this form.
std::optional<std::string_view> find_token(std::string_view pairs) {
  std::optional<std::string_view> token;
  while (!pairs.empty() && pairs.front() != separator) {
    const size_t end = pairs.find(separator);
    if (end == pairs.npos) return std::nullopt;
    const std::string_view pair = pairs.substr(0, end);
    pairs.remove_prefix(end + 1);
    if (!line::same_word(pair.substr(0, 5), "auth=")) continue;
    const std::string_view value = pair.substr(5);
    if (token || !line::same_word(value.substr(0, bearer.size()), bearer)) return std::nullopt;
    token = value.substr(bearer.size());
  }
  if (pairs != std::string_view(&separator, 1)) return std::nullopt;
  return token;
}

void append_pairs(std::string& message, std::string_view token) {
  message.push_back(separator);
  message.append("auth=").append(bearer).append(token);
  message.push_back(separator);
  message.push_back(separator);
}

}  // namespace

std::optional<std::string> read_saslname(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0' || text[i] == ',') return std::nullopt;
    if (text[i] != '=') {
      name.push_back(text[i]);
      continue;
    }
    const std::string_view code = text.substr(i + 1, 2);
    if (code != "2C" && code != "3D") return std::nullopt;
    name.push_back(code == "2C" ? ',' : '=');
    i += 2;
  }
  return name;
}

std::string write_saslname(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == ',') {
      text += "=2C";
    } else if (c == '=') {
      text += "=3D";
    } else {
      text.push_back(c);
    }
  }
  return text;
}

// RFC 4616, section 2: [authzid] NUL authcid NUL passwd.
std::optional<Credentials> read_plain(std::string_view message) {
  const size_t first = message.find('\0');
  const size_t second = first == message.npos ? message.npos : message.find('\0', first + 1);
  if (second == message.npos) return std::nullopt;
  const std::string_view authzid = message.substr(0, first);
  const std::string_view user = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (password.find('\0') != password.npos) return std::nullopt;
  // Many mail programs fill in both identities; that asks for nothing special.
  return Credentials{Mechanism::Plain, std::string(user), authzid == user ? std::string() : std::string(authzid),
                     Secret(password)};
}

// RFC 7628, section 3.1: "n,a=user,", then pairs. Channel binding is not defined for it. A NUL is in no form of it, here
// and below, and no mail server could be told.
std::optional<Credentials> read_oauthbearer(std::string_view message) {
  const bool flagged = message.starts_with("n,") || message.starts_with("y,");
  const size_t comma = message.find(',', 2);
  if (!flagged || comma == message.npos || message.find('\0') != message.npos) return std::nullopt;
  std::string user;
  if (std::string_view authzid = message.substr(2, comma - 2); !authzid.empty()) {
    if (!authzid.starts_with("a=")) return std::nullopt;
    std::optional<std::string> name = read_saslname(authzid.substr(2));
    if (!name) return std::nullopt;
    user = *std::move(name);
  }
  std::string_view pairs = message.substr(comma + 1);
  if (pairs.empty() || pairs.front() != separator) return std::nullopt;
  const std::optional<std::string_view> token = find_token(pairs.substr(1));
  if (!token) return std::nullopt;
  return Credentials{Mechanism::OAuthBearer, std::move(user), {}, Secret(*token)};
}

// "user=" name ^A "auth=Bearer " token ^A ^A
std::optional<Credentials> read_xoauth2(std::string_view message) {
  const size_t end = message.find(separator);
  if (end == message.npos || message.find('\0') != message.npos) return std::nullopt;
  if (!line::same_word(message.substr(0, 5), "user=")) return std::nullopt;
  const std::optional<std::string_view> token = find_token(message.substr(end + 1));
  if (!token) return std::nullopt;
  return Credentials{Mechanism::XOAuth2, std::string(message.substr(5, end - 5)), {}, Secret(*token)};
}

std::string token_refused() {
  return base64_encode(R"({"status":"invalid_token"})");
}

// OAUTHBEARER: one ^A (RFC 7628, section 3.2.3); XOAUTH2: an empty line.
std::string_view token_refusal_answer(Mechanism mechanism) {
  return mechanism == Mechanism::OAuthBearer ? std::string_view("AQ==") : std::string_view();
}

Secret client_message(const protocol::BackLogin& login) {
  const std::string_view password = login.password.reveal();
  const Mechanism mechanism = login.mechanism.value_or(Mechanism::Plain);
  std::string message;
  // No reallocation with a secret in it; names at most treble.
  message.reserve(3 * (login.user.size() + login.master.size()) + password.size() + 64);
  if (mechanism == Mechanism::OAuthBearer) {
    // Whom to act as may be left to the token, but "a=" needs a name.
    message.append(login.user.empty() ? "n," : "n,a=").append(write_saslname(login.user)).append(",");
    append_pairs(message, password);
  } else if (mechanism == Mechanism::XOAuth2) {
    message.append("user=").append(login.user);
    append_pairs(message, password);
  } else if (mechanism == Mechanism::External) {
    message.append(login.user);
  } else {
    if (!login.master.empty()) message.append(login.user);
    message.push_back('\0');
    message.append(login.master.empty() ? login.user : login.master).push_back('\0');
    message.append(password);
  }
  std::string base64 = message.empty() ? std::string("=") : base64_encode(message);
  wipe(message);
  return Secret::take(base64);
}

}  // namespace postern::sasl
