// SPDX-License-Identifier: GPL-3.0-or-later
// DeskRoom: a desk with its cache, a false clock and a helper played by hand, for conversations.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/cache.h"
#include "auth/desk.h"

namespace postern::auth {

using namespace std::chrono_literals;

// A stand-in for HMAC-SHA256, good enough to tell a test's questions apart: four lanes of FNV-1a.
inline std::array<uint8_t, 32> fake_hash(std::string_view message) {
  std::array<uint8_t, 32> digest{};
  for (uint64_t lane = 0; lane < 4; ++lane) {
    uint64_t hash = 0xcbf29ce484222325u ^ (lane * 0x9e3779b97f4a7c15u);
    for (const char c : message)
      hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    hash ^= hash >> 29;
    for (size_t i = 0; i < 8; ++i)
      digest[lane * 8 + i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return digest;
}

inline Question question_of(std::string_view user, std::string_view password,
                            std::string_view client = "203.0.113.7:4711") {
  Question question;
  question.protocol = "imap";
  question.mechanism = "LOGIN";
  question.user = user;
  question.password = Secret(password);
  question.client = *Endpoint::parse(client);
  question.local = *Endpoint::parse("192.0.2.1:993");
  question.listener = "imap-993";
  question.tls = "TLSv1.3";
  question.sni = "mail.example.test";
  question.session_id = "9f2c";
  return question;
}

// A verdict in the protocol's words, "(later)" for none yet.
inline std::string words(const Verdict& verdict) {
  return std::string(pack(verdict).reveal());
}
inline std::string words(const std::optional<Verdict>& verdict) {
  return verdict ? words(*verdict) : "(later)";
}

inline const char* const ok_line = "result=ok&back=127.0.1.1%3A143";
inline const char* const reject_line = "result=reject&reason=credentials";

class DeskRoom : public testing::Test {
 protected:
  static Options default_options() {
    Options options;
    options.timeout = 5s;
    options.in_flight_max = 4;
    options.cache.entries = 100;
    options.cache.reject_entries = 100;
    options.cache.ttl = 60s;
    options.cache.reject_ttl = 30s;
    options.cache.stale = 1h;
    return options;
  }

  explicit DeskRoom(const Options& options = default_options())
      : cache(options.cache, fake_hash), desk(options, cache) {}

  std::string ask(Ticket ticket, const Question& question) { return words(desk.ask(question, ticket, now)); }
  std::string ask(Ticket ticket, std::string_view user = "joe", std::string_view password = "secret") {
    return ask(ticket, question_of(user, password));
  }

  // Lines that the gate sends, without LF.
  std::vector<std::string> sent() {
    std::vector<std::string> lines;
    const Secret bytes = desk.take_output();
    std::string_view rest = bytes.reveal();
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      EXPECT_NE(end, rest.npos) << "an unfinished line";
      if (end == rest.npos) break;
      lines.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    return lines;
  }
  // The ids of the questions among them.
  std::vector<uint64_t> sent_ids() {
    std::vector<uint64_t> ids;
    for (const std::string& line : sent()) {
      Form form;
      EXPECT_EQ(form.read(line), FormFault::None);
      if (form.get("op") == "verify") ids.push_back(std::stoull(std::string(form.get("id"))));
    }
    return ids;
  }

  void say(std::string_view line) { desk.on_received(std::string(line) + "\n", now); }
  void answer(uint64_t id, std::string_view rest) { say("id=" + std::to_string(id) + "&" + std::string(rest)); }

  void connect() {
    EXPECT_TRUE(desk.wants_connection(now));
    desk.on_connecting(now);
    EXPECT_FALSE(desk.wants_connection(now));
    desk.on_connected(now);
    EXPECT_EQ(desk.take_output(), Secret("op=hello&version=1&name=postern\n"));
    say("op=hello&version=1&name=test-helper");
    EXPECT_TRUE(desk.report().connected);
  }
  void lose() { desk.on_disconnected(now); }
  void fail_to_connect() {
    EXPECT_TRUE(desk.wants_connection(now));
    desk.on_connecting(now);
    desk.on_disconnected(now, "Connection refused");
  }

  // Lets time pass as a reactor would: on_time() at each deadline on the way.
  void wait(Duration duration) {
    const Instant end = now + duration;
    while (desk.next_deadline() > now && desk.next_deadline() <= end) {
      now = desk.next_deadline();
      desk.on_time(now);
    }
    now = end;
    desk.on_time(now);
  }

  // What came for whom since the last look.
  std::map<Ticket, std::string> answers() {
    std::map<Ticket, std::string> all;
    while (std::optional<DeskAnswer> answer = desk.next_answer()) {
      EXPECT_TRUE(all.emplace(answer->ticket, words(answer->verdict)).second) << "answered twice";
    }
    return all;
  }
  std::vector<std::string> logs() {
    std::vector<std::string> lines;
    while (const std::optional<LogLine> line = desk.next_log())
      lines.push_back(line->text());
    return lines;
  }

  using Answers = std::map<Ticket, std::string>;
  using Ids = std::vector<uint64_t>;
  using Lines = std::vector<std::string>;

  Instant now = Instant{} + 1000h;
  Cache cache;
  Desk desk;
};

}  // namespace postern::auth
