// SPDX-License-Identifier: GPL-3.0-or-later
// Tables of conversations: each row holds in every cut. What the tests of all dialects' Fronts and Backs share.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "play.h"

namespace postern::test {

inline std::string times(size_t count, std::string_view text) {
  std::string all;
  for (size_t i = 0; i < count; ++i)
    all += text;
  return all;
}

inline protocol::FrontOptions inside_tls() {
  return {.hostname = "mail.example.test", .tls_active = true, .starttls_offered = true, .login_allowed = true};
}
inline protocol::FrontOptions in_clear() {
  return {.hostname = "mail.example.test", .starttls_offered = true};
}

inline Answer accept(const protocol::Credentials&) {
  return protocol::Accepted{};
}
inline Answer refuse(const protocol::Credentials&) {
  return protocol::Refusal{protocol::RefusalCause::Credentials};
}
inline Answer nobody_asks(const protocol::Credentials& credentials) {
  ADD_FAILURE() << "asked about " << credentials.user;
  return protocol::Refusal{};
}

// `options` is inside TLS unless said otherwise; `answers` accept.
template <typename Front>
struct FrontTalk {
  const char* name;
  std::string input;
  std::string transcript;
  protocol::FrontOptions options = inside_tls();
  typename FrontPlay<Front>::Answers answers = accept;
};

template <typename Front>
void PrintTo(const FrontTalk<Front>& talk, std::ostream* out) {
  *out << talk.name;
}

template <typename Front>
void expect_in_every_cut(const FrontTalk<Front>& talk) {
  EXPECT_EQ(front_differs<Front>(talk.options, talk.input, talk.answers, talk.transcript), std::nullopt)
      << "expected: " << talk.transcript;
}

// `Who` is what a dialect's rows say of the login: user, password, master, mechanism, probe, and what else it has.
template <typename Who>
struct BackTalk {
  const char* name;
  std::string server;
  std::string transcript;
  Who who = {};
};

template <typename Who>
void PrintTo(const BackTalk<Who>& talk, std::ostream* out) {
  *out << talk.name;
}

template <typename Who>
protocol::BackLogin login_of(const Who& who) {
  if (who.probe) return {.probe = true};
  return {.user = who.user, .master = who.master, .password = Secret(who.password), .mechanism = who.mechanism};
}

template <typename Back, typename Who>
void expect_in_every_cut(const BackTalk<Who>& talk, const protocol::BackIdentity& identity) {
  for (const auto& pieces : all_cuts(talk.server)) {
    BackPlay<Back> play(login_of(talk.who), identity, protocol::BackTlsPlan::None);
    for (const std::string_view piece : pieces)
      play.feed(piece);
    ASSERT_EQ(play.transcript(), talk.transcript);
  }
}

}  // namespace postern::test
