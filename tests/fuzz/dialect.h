// SPDX-License-Identifier: GPL-3.0-or-later
// What the fuzz targets of all dialects do: a stranger talks to a Front or a Back, whole and in pieces, and the
// promises that every dialect makes are checked.
//
// Of an input, the first byte chooses the connection and what is answered, the second how the rest is cut. The lower
// five bits of the first mean the same in every dialect (options_of, login_of, ...), so that corpora stay true; a
// dialect may give the others a meaning of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "expect.h"
#include "play.h"

namespace postern::fuzz {

// ---- A stranger in the place of a mail program ----------------------------------------------------------------------

inline protocol::FrontOptions options_of(unsigned choice) {
  protocol::FrontOptions options;
  options.hostname = "mail.example.test";
  options.tls_active = (choice & 1) != 0;
  options.starttls_offered = (choice & 2) != 0;
  options.login_allowed = (choice & 4) != 0;
  // Small limits are within a fuzzer's reach.
  if ((choice & 8) != 0) options.line_size = options.literal_size = 64;
  return options;
}

// Who we ask about has a name and a password.
inline test::Answer verdict_on(const protocol::Credentials& credentials, unsigned choice) {
  EXPECT_OR_DIE(!credentials.user.empty() || credentials.mechanism == protocol::Mechanism::OAuthBearer);
  EXPECT_OR_DIE(!credentials.password.empty());
  EXPECT_OR_DIE(credentials.user.find('\0') == std::string::npos);
  EXPECT_OR_DIE(credentials.password.reveal().find('\0') == std::string_view::npos);
  EXPECT_OR_DIE(credentials.authzid.empty() || credentials.authzid != credentials.user);
  // The text comes from elsewhere and may be anything, so it may as well be the user's.
  const std::string& text = credentials.user;
  if ((choice & 16) != 0) return protocol::Refusal{protocol::RefusalCause::Passed, text, text, {}};
  return protocol::Accepted{text, text, {}};
}

template <typename Front>
std::string play_front(const protocol::FrontOptions& options, unsigned choice, std::string_view bytes, size_t piece) {
  test::FrontPlay<Front> play(options, [choice](const protocol::Credentials& c) { return verdict_on(c, choice); });
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

// Between the events (which quote the user) there are only lines of ours. `lines_max(said)` is how many lines one
// answer may have: a peer's text cannot add one.
template <typename Front>
void check_replies(const protocol::FrontOptions& options, unsigned choice, std::string_view bytes,
                   size_t (*lines_max)(std::string_view said)) {
  Front front(options);
  front.feed(bytes);
  for (;;) {
    protocol::FrontEvent event = front.next();
    std::string said;
    if (auto* reply = std::get_if<protocol::Reply>(&event)) said = reply->bytes;
    if (auto* tls = std::get_if<protocol::StartTls>(&event)) said = tls->reply;
    if (auto* goodbye = std::get_if<protocol::Goodbye>(&event)) said = goodbye->text;
    if (auto* login = std::get_if<protocol::Login>(&event)) {
      test::Answer verdict = verdict_on(login->credentials, choice);
      auto* refusal = std::get_if<protocol::Refusal>(&verdict);
      said = refusal != nullptr ? front.rejected(*refusal) : front.accepted(std::get<protocol::Accepted>(verdict));
    }
    if (std::holds_alternative<protocol::NeedBytes>(event)) return;
    EXPECT_OR_DIE(said.empty() || said.ends_with("\r\n"));
    size_t line_ends = 0;
    for (size_t i = 0; i < said.size(); ++i) {
      EXPECT_OR_DIE(said[i] != '\0');
      if (said[i] == '\n') ++line_ends;
      EXPECT_OR_DIE((said[i] == '\n') == (i != 0 && said[i - 1] == '\r'));
    }
    EXPECT_OR_DIE(line_ends <= lines_max(said));
  }
}

// The same bytes give the same conversation in any pieces, and what we say is whole lines.
template <typename Front>
void fuzz_front(const uint8_t* data, size_t size, protocol::FrontOptions (*options)(unsigned choice),
                size_t (*lines_max)(std::string_view said)) {
  if (size < 2) return;
  const unsigned choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = play_front<Front>(options(choice), choice, bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play_front<Front>(options(choice), choice, bytes, 1) == whole);
  EXPECT_OR_DIE(play_front<Front>(options(choice), choice, bytes, 1 + data[1] % 64) == whole);
  check_replies<Front>(options(choice), choice, bytes, lines_max);
}

// ---- A stranger in the place of a mail server -----------------------------------------------------------------------

// No byte of a reply of ours and no capability looks like it.
inline constexpr std::string_view short_password = "pw_8#";

inline protocol::BackLogin login_of(unsigned choice) {
  protocol::BackLogin login;
  login.user = "joe";
  login.password = Secret(short_password);
  if ((choice & 1) != 0) login.master = "root";
  if ((choice & 2) != 0) login.password = Secret("pw_\xc3\xa9#");
  if ((choice & 4) != 0) login.mechanism = protocol::Mechanism::Plain;
  return login;
}

inline protocol::BackIdentity identity_of(unsigned choice) {
  protocol::BackIdentity identity;
  identity.send = (choice & 8) != 0;
  identity.front_address = "192.0.2.7";
  return identity;
}

// How a Back logs in, for a choice.
struct Ways {
  protocol::BackLogin (*login)(unsigned choice) = login_of;
  protocol::BackIdentity (*identity)(unsigned choice) = identity_of;
};

template <typename Back>
std::string play_back(const Ways& ways, unsigned choice, std::string_view bytes, size_t piece) {
  test::BackPlay<Back> play(ways.login(choice), ways.identity(choice), protocol::BackTlsPlan::None);
  for (; bytes.size() > piece; bytes.remove_prefix(piece))
    play.feed(bytes.substr(0, piece));
  play.feed(bytes);
  return play.transcript();
}

inline void expect_clean(std::string_view text, std::string_view password) {
  EXPECT_OR_DIE(password.empty() || text.find(password) == text.npos);
  EXPECT_OR_DIE(text.find('\0') == text.npos);
}

inline void expect_clean_line(std::string_view text, std::string_view password) {
  expect_clean(text, password);
  EXPECT_OR_DIE(text.find_first_of("\r\n") == text.npos);
}

// Nothing that goes on to a log or to the mail program holds the password. With TLS on the way, where the pieces
// matter: `bytes` up to the first NUL come before the handshake, the rest behind.
template <typename Back>
void check_events(const Ways& ways, unsigned choice, std::string_view bytes) {
  const protocol::BackLogin login = ways.login(choice);
  const std::string_view password = login.password.reveal();
  Back back(ways.login(choice), ways.identity(choice),
            (choice & 16) != 0 ? protocol::BackTlsPlan::StartTls : protocol::BackTlsPlan::None);
  const size_t handshake = std::min(bytes.find('\0'), bytes.size());
  back.feed(bytes.substr(0, handshake));
  for (;;) {
    protocol::BackEvent event = back.next();
    if (std::holds_alternative<protocol::NeedBytes>(event)) return;
    if (std::holds_alternative<protocol::TlsAgreed>(event)) {
      back.tls_started();
      back.feed(bytes.substr(std::min(handshake + 1, bytes.size())));
    }
    if (auto* failed = std::get_if<protocol::Failed>(&event)) expect_clean_line(failed->detail, password);
    if (auto* refused = std::get_if<protocol::Refused>(&event)) {
      expect_clean_line(refused->refusal.text, password);
      expect_clean_line(refused->refusal.code, password);
      expect_clean(refused->refusal.alerts, password);
    }
    if (auto* in = std::get_if<protocol::LoggedIn>(&event)) {
      expect_clean_line(in->accepted.text, password);
      expect_clean_line(in->accepted.capability, {"\n"});
      expect_clean(in->accepted.alerts, password);
    }
    if (auto* learned = std::get_if<protocol::Learned>(&event)) expect_clean(learned->capabilities, {"\r"});
  }
}

// The same bytes give the same conversation in any pieces, and the password stays with us.
template <typename Back>
void fuzz_back(const uint8_t* data, size_t size, const Ways& ways = {}) {
  if (size < 2) return;
  const unsigned choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = play_back<Back>(ways, choice, bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play_back<Back>(ways, choice, bytes, 1) == whole);
  EXPECT_OR_DIE(play_back<Back>(ways, choice, bytes, 1 + data[1] % 64) == whole);
  check_events<Back>(ways, choice, bytes);
}

}  // namespace postern::fuzz
