// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a submission server. The first byte chooses how we want to log in, the second how the rest
// is cut. Whatever comes: the same bytes give the same conversation in any pieces, we say one line at a time and none is
// too long for a command, and nothing that goes on to a log or to the mail program holds the password.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "play.h"
#include "protocol/smtp/back.h"

namespace {

using postern::Secret;
using postern::protocol::BackEvent;
using postern::protocol::BackIdentity;
using postern::protocol::BackLogin;
using postern::protocol::BackTlsPlan;
using postern::protocol::Mechanism;
using postern::smtp::Back;
using postern::test::BackPlay;

// No byte of a reply of ours looks like it, in clear or as AUTH LOGIN says it.
constexpr std::string_view password = "pw_8#";
constexpr std::string_view password_base64 = "cHdfOCM=";

BackLogin login_of(unsigned choice) {
  BackLogin login;
  if ((choice & 3) == 3) {
    login.probe = true;
    return login;
  }
  login.user = "joe";
  login.password = Secret(password);
  if ((choice & 1) != 0) login.master = "root";
  if ((choice & 2) != 0) login.mechanism = Mechanism::XOAuth2;
  if ((choice & 4) != 0) login.mechanism = Mechanism::SaslLogin;
  return login;
}

BackIdentity identity_of(unsigned choice) {
  BackIdentity identity;
  identity.send = (choice & 8) != 0;
  identity.send_login = (choice & 32) != 0;
  identity.front_address = "2001:db8::7";
  // So long that two commands may be needed.
  identity.session_id = std::string((choice & 64) != 0 ? 240 : 4, 's');
  identity.local_address = "192.0.2.1";
  identity.helo = std::string((choice & 128) != 0 ? 255 : 4, 'h');
  return identity;
}

std::string play(unsigned choice, std::string_view bytes, size_t piece) {
  BackPlay<Back> play(login_of(choice), identity_of(choice), BackTlsPlan::None);
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

void expect_clean_line(std::string_view text) {
  EXPECT_OR_DIE(text.find(password) == text.npos);
  EXPECT_OR_DIE(text.find(password_base64) == text.npos);
  EXPECT_OR_DIE(text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos);
}

void expect_command(std::string_view line) {
  EXPECT_OR_DIE(line.ends_with("\r\n") && line.size() <= 512);
  EXPECT_OR_DIE(line.find_first_of("\r\n") == line.size() - 2);
}

// With TLS on the way, where the pieces matter: `bytes` up to the first NUL come before the handshake, the rest behind.
void check_events(unsigned choice, std::string_view bytes) {
  Back back(login_of(choice), identity_of(choice), (choice & 16) != 0 ? BackTlsPlan::StartTls : BackTlsPlan::None);
  const size_t handshake = std::min(bytes.find('\0'), bytes.size());
  back.feed(bytes.substr(0, handshake));
  for (;;) {
    BackEvent event = back.next();
    if (std::holds_alternative<postern::protocol::NeedBytes>(event)) return;
    if (std::holds_alternative<postern::protocol::TlsAgreed>(event)) {
      back.tls_started();
      back.feed(bytes.substr(handshake));
    }
    if (auto* send = std::get_if<postern::protocol::Send>(&event)) expect_command(send->bytes.reveal());
    if (auto* failed = std::get_if<postern::protocol::Failed>(&event)) expect_clean_line(failed->detail);
    if (auto* refused = std::get_if<postern::protocol::Refused>(&event)) {
      expect_clean_line(refused->refusal.text);
      expect_clean_line(refused->refusal.code);
      EXPECT_OR_DIE(refused->refusal.alerts.empty());
    }
    if (auto* in = std::get_if<postern::protocol::LoggedIn>(&event)) {
      expect_clean_line(in->accepted.text);
      EXPECT_OR_DIE(in->accepted.alerts.empty());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = play(data[0], bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play(data[0], bytes, 1) == whole);
  EXPECT_OR_DIE(play(data[0], bytes, 1 + data[1] % 64) == whole);
  check_events(data[0], bytes);
  return 0;
}
