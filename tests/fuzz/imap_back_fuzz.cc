// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of a mail server. The first byte chooses how we want to log in, the second how the rest is
// cut. Whatever comes: the same bytes give the same conversation in any pieces, and nothing that goes on to a log or to
// the mail program holds the password.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.h"
#include "play.h"
#include "protocol/imap/back.h"

namespace {

using postern::Secret;
using postern::imap::Back;
using postern::protocol::BackEvent;
using postern::protocol::BackIdentity;
using postern::protocol::BackLogin;
using postern::protocol::BackTlsPlan;
using postern::test::BackPlay;

// No byte of a reply of ours and no capability looks like it.
constexpr std::string_view short_password = "pw_8#";

BackLogin login_of(unsigned choice) {
  BackLogin login;
  login.user = "joe";
  login.password = Secret(short_password);
  if ((choice & 1) != 0) login.master = "root";
  if ((choice & 2) != 0) login.password = Secret("pw_\xc3\xa9#");
  if ((choice & 4) != 0) login.mechanism = postern::protocol::Mechanism::Plain;
  return login;
}

BackIdentity identity_of(unsigned choice) {
  BackIdentity identity;
  identity.send = (choice & 8) != 0;
  identity.front_address = "192.0.2.7";
  return identity;
}

std::string play(unsigned choice, std::string_view bytes, size_t piece) {
  BackPlay<Back> play(login_of(choice), identity_of(choice), BackTlsPlan::None);
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

void expect_clean(std::string_view text, std::string_view password) {
  EXPECT_OR_DIE(text.find(password) == text.npos);
  EXPECT_OR_DIE(text.find('\0') == text.npos);
}

void expect_clean_line(std::string_view text, std::string_view password) {
  expect_clean(text, password);
  EXPECT_OR_DIE(text.find_first_of("\r\n") == text.npos);
}

// With TLS on the way, where the pieces matter: `bytes` up to the first NUL come before the handshake, the rest behind.
void check_events(unsigned choice, std::string_view bytes) {
  const BackLogin login = login_of(choice);
  const std::string_view password = login.password.reveal();
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
    if (auto* failed = std::get_if<postern::protocol::Failed>(&event)) expect_clean_line(failed->detail, password);
    if (auto* refused = std::get_if<postern::protocol::Refused>(&event)) {
      expect_clean_line(refused->refusal.text, password);
      expect_clean_line(refused->refusal.code, password);
      expect_clean(refused->refusal.alerts, password);
    }
    if (auto* in = std::get_if<postern::protocol::LoggedIn>(&event)) {
      expect_clean_line(in->accepted.text, password);
      expect_clean_line(in->accepted.capability, {"\n"});
      expect_clean(in->accepted.alerts, password);
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
