// SPDX-License-Identifier: GPL-3.0-or-later
// What the auth cache costs a login: digests, a hit, a miss, a stored verdict, an invalidation; one thread and several
// at once; and the heap that an entry holds. The keyed hash is a stand-in of nearly no cost (the gate's is an
// HMAC-SHA256, see the counter `hashes`), so that the cache's own time shows.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/cache.h"
#include "auth/desk.h"
#include "auth/wire.h"

namespace postern::auth {
namespace {

using namespace std::chrono_literals;

constexpr Instant now = Instant{} + 1h;
constexpr uint32_t users = 10000;

uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Eight bytes a step; spreads well, protects nothing.
std::array<uint8_t, 32> quick_hash(std::string_view message) {
  uint64_t hash = message.size();
  while (!message.empty()) {
    uint64_t word = 0;
    const size_t size = std::min(message.size(), sizeof word);
    memcpy(&word, message.data(), size);
    hash = mix(hash ^ word) + 0x9e3779b97f4a7c15u;
    message.remove_prefix(size);
  }
  const uint64_t words[4] = {mix(hash + 1), mix(hash + 2), mix(hash + 3), mix(hash + 4)};
  std::array<uint8_t, 32> digest;
  memcpy(digest.data(), words, sizeof words);
  return digest;
}

Question question_of(uint32_t user) {
  Question question;
  question.protocol = "imap";
  question.mechanism = "PLAIN";
  question.user = "user" + std::to_string(user) + "@example.test";
  question.password = Secret("correct horse battery");
  question.client = *Endpoint::parse("203.0.113.7:4711");
  question.local = *Endpoint::parse("192.0.2.1:993");
  question.listener = "imap-993";
  question.tls = "TLSv1.3";
  question.sni = "mail.example.test";
  question.session_id = "9f2c";
  return question;
}

Verdict accept_of(uint32_t user) {
  Accept accept;
  accept.route.user = "user" + std::to_string(user) + "@example.test";
  accept.route.backs = {*Endpoint::parse("127.0.1.1:143")};
  return accept;
}

struct Filled {
  explicit Filled(const Keeping& keeping = {}, uint32_t entries = 100000) : cache(options(entries), quick_hash) {
    keys.reserve(users);
    for (uint32_t user = 0; user < users; ++user) {
      keys.push_back(cache.keys(question_of(user)));
      cache.keep(keys.back(), accept_of(user), keeping, cache.epoch(), now);
    }
  }

  static CacheOptions options(uint32_t entries) {
    CacheOptions options;
    options.entries = entries;
    return options;
  }

  Cache cache;
  std::vector<CacheKeys> keys;
};

void keys_of_a_question(benchmark::State& state) {
  uint64_t hashes = 0;
  Cache cache({}, [&hashes](std::string_view message) {
    ++hashes;
    return quick_hash(message);
  });
  const Question question = question_of(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(cache.keys(question));
  state.counters["hashes"] = static_cast<double>(hashes) / static_cast<double>(state.iterations());
}
BENCHMARK(keys_of_a_question);

void hit(benchmark::State& state) {
  static Filled* filled = nullptr;  // shared by the threads
  if (state.thread_index() == 0) filled = new Filled;
  auto next = static_cast<uint32_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    next = (next + 4799) % users;
    benchmark::DoNotOptimize(filled->cache.fresh(filled->keys[next], now));
  }
  if (state.thread_index() == 0) delete filled;
}
BENCHMARK(hit)->Threads(1)->Threads(2)->UseRealTime();

void hit_that_varies_by_client(benchmark::State& state) {
  Filled filled(Keeping{.vary_client = true});
  uint32_t next = 0;
  for (auto _ : state) {
    next = (next + 4799) % users;
    benchmark::DoNotOptimize(filled.cache.fresh(filled.keys[next], now));
  }
}
BENCHMARK(hit_that_varies_by_client);

void miss(benchmark::State& state) {
  Filled filled;
  const CacheKeys keys = filled.cache.keys(question_of(users + 1));
  for (auto _ : state)
    benchmark::DoNotOptimize(filled.cache.fresh(keys, now));
}
BENCHMARK(miss);

// Room for half of the users: nearly each entry pushes another one out.
void keep_and_evict(benchmark::State& state) {
  Filled filled({}, users / 2);
  const Verdict verdict = accept_of(1);
  uint32_t next = 0;
  for (auto _ : state) {
    next = (next + 4799) % users;
    filled.cache.keep(filled.keys[next], verdict, {}, filled.cache.epoch(), now);
  }
}
BENCHMARK(keep_and_evict);

void invalidate_a_stranger(benchmark::State& state) {
  Filled filled;
  for (auto _ : state)
    filled.cache.invalidate("nobody@example.test");
}
BENCHMARK(invalidate_a_stranger);

// A login that the cache knows, as a session sees it.
void desk_hit(benchmark::State& state) {
  Filled filled;
  Desk desk(Options{}, filled.cache);
  const Question question = question_of(17);
  for (auto _ : state)
    benchmark::DoNotOptimize(desk.ask(question, 1, now));
}
BENCHMARK(desk_hit);

// A login that it does not know: the question, its line, the answer and its keeping, without the socket.
void desk_asks_the_helper(benchmark::State& state) {
  CacheOptions cache_options;
  cache_options.entries = 0;
  Cache cache(cache_options, quick_hash);
  Desk desk(Options{}, cache);
  desk.on_connecting(now);
  desk.on_connected(now);
  desk.on_received("op=hello&version=1&name=bench\n", now);
  benchmark::DoNotOptimize(desk.take_output());
  const Question question = question_of(17);
  uint64_t id = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(desk.ask(question, 1, now));
    benchmark::DoNotOptimize(desk.take_output());
    const std::string answer =
        "id=" + std::to_string(++id) + "&result=ok&user=user17%40example.test&back=127.0.1.1%3A143\n";
    desk.on_received(answer, now);
    benchmark::DoNotOptimize(desk.next_answer());
  }
  if (desk.report().answered != id) state.SkipWithError("an answer was lost");
}
BENCHMARK(desk_asks_the_helper);

void heap_of_an_entry(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<CacheKeys> keys;
    Cache cache(Filled::options(100000), quick_hash);
    keys.reserve(users);
    for (uint32_t user = 0; user < users; ++user)
      keys.push_back(cache.keys(question_of(user)));
    const auto before = static_cast<double>(mallinfo2().uordblks);
    for (uint32_t user = 0; user < users; ++user)
      cache.keep(keys[user], accept_of(user), {}, 0, now);
    state.counters["bytes"] = (static_cast<double>(mallinfo2().uordblks) - before) / users;
  }
}
BENCHMARK(heap_of_an_entry)->Iterations(1);

}  // namespace
}  // namespace postern::auth

BENCHMARK_MAIN();
