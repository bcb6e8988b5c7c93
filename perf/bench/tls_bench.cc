// SPDX-License-Identifier: GPL-3.0-or-later
// TLS in memory: what a handshake, a record and an idle session cost the gate, and OpenSSL in its place. The mail
// program is always OpenSSL's; only the front's own calls are timed.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

#include "perf/bench/front.h"
#include "perf/bench/timing.h"

namespace postern::bench {
namespace {

struct MailProgram {
  explicit MailProgram(bool keeps_tickets) {
    wire::FrontTls choice;
    choice.groups = "X25519";
    auto made = wire::front_context(choice);
    if (!made.ok()) std::abort();
    context = *std::move(made);
    if (!keeps_tickets) return;
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), [](SSL* tls, SSL_SESSION* session) {
      auto* self = static_cast<MailProgram*>(SSL_get_app_data(tls));
      SSL_SESSION_free(self->ticket);
      self->ticket = session;
      return 1;
    });
  }
  ~MailProgram() { SSL_SESSION_free(ticket); }
  MailProgram(const MailProgram&) = delete;

  wire::Context context;
  SSL_SESSION* ticket = nullptr;
};

// One whole handshake; returns the CPU seconds of the front's calls, or a negative number on failure.
template <typename Front>
double connect(Front& front, OpenSslEnd& back) {
  double seconds = 0;
  std::string from_front;
  while (!front.is_done()) {
    if (!back.shake_hands(from_front)) return -1;
    const std::string to_front = back.take_output();
    if (to_front.empty()) return -1;
    const double before = thread_seconds();
    const bool going = front.shake_hands(to_front);
    seconds += thread_seconds() - before;
    if (!going) return -1;
    from_front = front.take_output();
  }
  back.read(from_front);  // the ticket
  return back.is_done() ? seconds : -1;
}

template <typename Front, bool resumes>
void handshake(benchmark::State& state) {
  typename Front::Shared shared;
  MailProgram program(resumes);
  uint64_t resumed = 0;
  for (int warm_up = 1; warm_up >= 0; --warm_up) {
    // The first handshake brings the ticket; it is no part of the measurement.
    const auto once = [&] {
      OpenSslEnd back(program.context.get(), true);
      SSL_set_app_data(back.tls(), &program);
      if (program.ticket != nullptr) SSL_set_session(back.tls(), program.ticket);
      const double before = thread_seconds();
      auto front = std::make_unique<Front>(shared);
      double seconds = thread_seconds() - before;
      const double handshake_seconds = connect(*front, back);
      if (handshake_seconds < 0) state.SkipWithError("the handshake failed");
      resumed += static_cast<uint64_t>(SSL_session_reused(back.tls()));
      const double end = thread_seconds();
      front.reset();
      seconds += thread_seconds() - end;
      return seconds + handshake_seconds;
    };
    if (warm_up == 1) {
      once();
      resumed = 0;
      continue;
    }
    for (auto _ : state)
      state.SetIterationTime(once());
  }
  state.counters["resumed"] = benchmark::Counter(static_cast<double>(resumed), benchmark::Counter::kAvgIterations);
}

template <typename Front>
struct Connected {
  Connected() : program(false), front(shared), back(program.context.get(), true) {
    if (connect(front, back) < 0) std::abort();
  }
  typename Front::Shared shared;
  MailProgram program;
  Front front;
  OpenSslEnd back;
};

// Plaintext from the mail server becomes records.
template <typename Front>
void seal(benchmark::State& state) {
  Connected<Front> both;
  const std::string plain(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    both.front.write(plain);
    both.front.drop_output();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

// Records from the mail program become plaintext. The records are made beforehand, a batch at a time.
template <typename Front>
void open(benchmark::State& state) {
  Connected<Front> both;
  const std::string plain(static_cast<size_t>(state.range(0)), 'x');
  constexpr int batch = 32;
  for (auto _ : state) {
    std::vector<std::string> records;
    for (int i = 0; i < batch; ++i) {
      both.back.write(plain);
      records.push_back(both.back.take_output());
    }
    const double before = thread_seconds();
    size_t size = 0;
    for (const std::string& record : records)
      size += both.front.read(record);
    state.SetIterationTime(thread_seconds() - before);
    if (size != plain.size() * batch) state.SkipWithError("bytes are missing");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0) * batch);
}

// Heap of an idle session after it has relayed a little: chunks in use, as the allocator counts them.
template <typename Front>
void idle_session(benchmark::State& state) {
  typename Front::Shared shared;
  MailProgram program(false);
  constexpr size_t count = 500;
  double bytes = 0;
  for (auto _ : state) {
    std::vector<std::unique_ptr<Front>> fronts;
    fronts.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      OpenSslEnd back(program.context.get(), true);
      fronts.push_back(std::make_unique<Front>(shared));
      if (connect(*fronts.back(), back) < 0) state.SkipWithError("the handshake failed");
      back.write("t1 NOOP\r\n");
      fronts.back()->read(back.take_output());
      fronts.back()->write(std::string(4096, 'x'));
      fronts.back()->settle();
    }
    const size_t before = mallinfo2().uordblks;
    for (std::unique_ptr<Front>& front : fronts)
      front.reset();
    bytes = static_cast<double>(before - mallinfo2().uordblks) / count;
  }
  state.counters["bytes"] = bytes;
}

#define POSTERN_TLS_BENCHES(Front)                                                                                    \
  BENCHMARK(handshake<Front, false>)->Name("handshake_full/" #Front)->UseManualTime()->Unit(benchmark::kMicrosecond); \
  BENCHMARK(handshake<Front, true>)                                                                                   \
      ->Name("handshake_resumed/" #Front)                                                                             \
      ->UseManualTime()                                                                                               \
      ->Unit(benchmark::kMicrosecond);                                                                                \
  BENCHMARK(seal<Front>)->Name("seal/" #Front)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536);                           \
  BENCHMARK(open<Front>)->Name("open/" #Front)->UseManualTime()->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536);          \
  BENCHMARK(idle_session<Front>)->Name("idle_session/" #Front)->Iterations(1)->Unit(benchmark::kMillisecond)

POSTERN_TLS_BENCHES(GateFront);
POSTERN_TLS_BENCHES(OpenSslFront);

}  // namespace
}  // namespace postern::bench

BENCHMARK_MAIN();
