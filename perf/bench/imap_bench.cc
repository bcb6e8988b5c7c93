// SPDX-License-Identifier: GPL-3.0-or-later
// What IMAP costs before the relay begins: a login at the front and at the back, the usual first commands, the framing
// of a long literal, and the heap that a Front holds while a mail program thinks.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/imap/back.h"
#include "protocol/imap/front.h"
#include "protocol/proxy_header/reader.h"

namespace postern {
namespace {

protocol::FrontOptions inside_tls() {
  return {.hostname = "mail.example.test", .tls_active = true, .login_allowed = true};
}

// Feeds `bytes` in pieces and takes events until the login; returns the bytes that went out.
size_t log_in_front(imap::Front& front, std::string_view bytes, size_t piece) {
  size_t out = 0;
  while (!bytes.empty()) {
    front.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (;;) {
      protocol::FrontEvent event = front.next();
      if (std::holds_alternative<protocol::NeedBytes>(event)) break;
      if (auto* reply = std::get_if<protocol::Reply>(&event)) out += reply->bytes.size();
      if (std::holds_alternative<protocol::Login>(event)) {
        return out + front.accepted({"IMAP4rev1 IDLE NAMESPACE UIDPLUS CONDSTORE", "Logged in", {}}).size();
      }
    }
  }
  return out;
}

void front_login(benchmark::State& state, std::string_view bytes, size_t piece) {
  for (auto _ : state) {
    imap::Front front(inside_tls());
    benchmark::DoNotOptimize(front.greeting());
    benchmark::DoNotOptimize(log_in_front(front, bytes, piece));
  }
}

constexpr std::string_view quoted = "a1 LOGIN \"joe@example.test\" \"correct horse battery\"\r\n";
constexpr std::string_view chatty =
    "1 CAPABILITY\r\n2 ID (\"name\" \"Mailer\" \"version\" \"115.0\" \"os\" NIL)\r\n"
    "3 AUTHENTICATE PLAIN AGpvZUBleGFtcGxlLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n";
constexpr std::string_view literals = "a1 LOGIN {16}\r\njoe@example.test {21}\r\ncorrect horse battery\r\n";

BENCHMARK_CAPTURE(front_login, quoted, quoted, quoted.size());
BENCHMARK_CAPTURE(front_login, quoted_bytewise, quoted, 1);
BENCHMARK_CAPTURE(front_login, literals, literals, literals.size());
BENCHMARK_CAPTURE(front_login, capability_id_plain, chatty, chatty.size());

void front_noop(benchmark::State& state) {
  imap::Front front(inside_tls());
  for (auto _ : state) {
    front.feed("a1 NOOP\r\n");
    benchmark::DoNotOptimize(front.next());
    benchmark::DoNotOptimize(front.next());
  }
}
BENCHMARK(front_noop);

// A stranger's most expensive line: as long as it may be, one byte at a time, refused in the end.
void front_longest_line(benchmark::State& state) {
  const std::string line = "a1 NOOP " + std::string(8000, '(') + "\r\n";
  for (auto _ : state) {
    imap::Front front(inside_tls());
    benchmark::DoNotOptimize(log_in_front(front, line, 1));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}
BENCHMARK(front_longest_line);

// A login at the mail server: its greeting in one read, its answer in another.
void back_login(benchmark::State& state, std::string_view greeting, std::string_view rest) {
  for (auto _ : state) {
    imap::Back back({.user = "joe@example.test", .password = Secret("correct horse battery")}, {},
                    protocol::BackTlsPlan::None);
    for (const std::string_view bytes : {greeting, rest}) {
      back.feed(bytes);
      while (!std::holds_alternative<protocol::NeedBytes>(back.next()))
        continue;
    }
    benchmark::DoNotOptimize(back.take_unread());
  }
}
BENCHMARK_CAPTURE(back_login, quoted,
                  "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] ready.\r\n",
                  "P1 OK [CAPABILITY IMAP4rev1 SASL-IR ID ENABLE IDLE SORT THREAD=REFERENCES MOVE NOTIFY] in\r\n");
BENCHMARK_CAPTURE(back_login, plain, "* OK [CAPABILITY IMAP4rev1 SASL-IR ID LOGINDISABLED AUTH=PLAIN] ready.\r\n",
                  "* CAPABILITY IMAP4rev1 SASL-IR ID ENABLE IDLE SORT THREAD=REFERENCES MOVE NOTIFY\r\nP1 OK in\r\n");

void proxy_header_v1(benchmark::State& state) {
  for (auto _ : state) {
    proxy_header::Reader reader;
    benchmark::DoNotOptimize(reader.feed("PROXY TCP4 192.0.2.7 192.0.2.1 40000 993\r\n"));
  }
}
BENCHMARK(proxy_header_v1);

// Not a time: the heap of a Front before the first byte, and after a command, as `bytes`.
void front_heap(benchmark::State& state, std::string_view before) {
  constexpr size_t count = 1000;
  size_t bytes = 0;
  for (auto _ : state) {
    const size_t heap_before = mallinfo2().uordblks;
    std::vector<std::unique_ptr<imap::Front>> fronts;
    fronts.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      fronts.push_back(std::make_unique<imap::Front>(inside_tls()));
      log_in_front(*fronts.back(), before, before.size() + 1);
    }
    bytes = (mallinfo2().uordblks - heap_before) / count;
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK_CAPTURE(front_heap, greeted, "")->Iterations(3);
BENCHMARK_CAPTURE(front_heap, after_capability, "a1 CAPABILITY\r\n")->Iterations(3);

}  // namespace
}  // namespace postern

BENCHMARK_MAIN();
