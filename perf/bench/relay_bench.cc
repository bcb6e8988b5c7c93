// SPDX-License-Identifier: GPL-3.0-or-later
// A whole session in memory: an OpenSSL mail program before it, the simulated mail server's talk behind it, no socket.
// What a login, a relayed request, a relayed byte and an idle session cost the gate without the kernel.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/question.h"
#include "base/check.h"
#include "perf/bench/front.h"
#include "perf/bench/timing.h"
#include "perf/stub/talk.h"
#include "session/session.h"

namespace postern::bench {
namespace {

using session::Session;
using session::Side;

Endpoint endpoint_of(std::string_view text) {
  return *Endpoint::parse(text);
}

// What a reactor lends its sessions, with one implicit-TLS listener and one mail server behind it.
struct World {
  World() {
    auto setup = std::make_shared<session::Setup>();
    session::ListenerOptions listener;
    listener.name = "imap-993";
    listener.addresses = {endpoint_of("192.0.2.1:993")};
    setup->options.hostname = "mail.example.test";
    setup->options.listeners = {listener};
    session::PoolOptions pool;
    pool.name = "default";
    const Endpoint back = endpoint_of("127.0.1.1:143");
    pool.members = {{.host = back.address_text(), .port = back.port, .address = back}};
    setup->options.pools = {pool};
    setup->pools["default"].options = pool;
    setup->front_tls = std::move(gate.context);
    surroundings.setup = std::move(setup);
    wire::FrontTls choice;
    choice.groups = "X25519";
    auto made = wire::front_context(choice);
    CHECK(made.ok());
    programs = *std::move(made);
  }

  GateFront::Shared gate;  // certificate and ticket keys
  session::Counts counts;
  session::Admission admission;
  session::Surroundings surroundings{.counts = &counts, .admission = &admission};
  wire::Context programs;
  Instant now = Instant{} + std::chrono::hours(1);
};

// One session with both its peers, who live in memory too.
class Conversation {
 public:
  explicit Conversation(World& world)
      : world_(&world),
        session_(std::make_unique<Session>(world.surroundings, uint16_t{0}, endpoint_of("203.0.113.7:4711"),
                                           endpoint_of("192.0.2.1:993"), uint64_t{1}, false, world.now)),
        program_(world.programs.get(), true) {}

  // From the first byte to the relay. Returns the CPU seconds of the session's calls.
  double log_in() {
    seconds_ = 0;
    CHECK(program_.shake_hands({}));
    bool said_login = false;
    for (int turns = 0; turns < 12 && !session_->relaying(); ++turns) {
      give(Side::Front, program_.take_output());
      hear();
      if (program_.is_done() && !said_login) {
        program_.write("t1 LOGIN \"joe@example.test\" \"secret\"\r\n");
        said_login = true;
      }
      settle_back();
    }
    CHECK(session_->relaying());
    hear();
    world_->surroundings.logs.clear();
    return seconds_;
  }

  // Records of the mail program, each with these bytes.
  std::vector<std::string> records(std::string_view plain, int count) {
    std::vector<std::string> made;
    for (int i = 0; i < count; ++i) {
      program_.write(plain);
      made.push_back(program_.take_output());
    }
    return made;
  }

  // As a reactor does it: the event, then what is to be sent leaves.
  void pass(Side from, std::string_view bytes) {
    session_->received(from, {bytes.data(), bytes.size()}, world_->now);
    drain(Side::Front);
    drain(Side::Back);
  }

  void lose_program() { program_ = OpenSslEnd(world_->programs.get(), true); }
  void lose_session() { session_.reset(); }

 private:
  void drain(Side side) {
    if (session_->outbox(side).waiting_size() == 0) return;
    benchmark::DoNotOptimize(session_->outbox(side).launch().data());
    session_->outbox(side).landed(world_->surroundings.pool, false);
    session_->sent(side, world_->now);
  }

  template <typename Work>
  void timed(Work work) {
    const double before = thread_seconds();
    work();
    seconds_ += thread_seconds() - before;
  }

  void give(Side side, const std::string& bytes) {
    if (!bytes.empty()) timed([&] { session_->received(side, {bytes.data(), bytes.size()}, world_->now); });
  }

  std::string take(Side side) {
    std::string bytes;
    if (session_->outbox(side).waiting_size() == 0) return bytes;
    timed([&] {
      const std::span<const char> out = session_->outbox(side).launch();
      bytes.assign(out.data(), out.size());
      session_->outbox(side).landed(world_->surroundings.pool, session_->holds_secrets());
      session_->sent(side, world_->now);
    });
    return bytes;
  }

  // The mail program hears what the session says.
  void hear() {
    const std::string bytes = take(Side::Front);
    if (bytes.empty()) return;
    if (!program_.is_done()) {
      CHECK(program_.shake_hands(bytes));
    } else {
      program_.read(bytes);
    }
  }

  // Helper and mail server: both say yes at once.
  void settle_back() {
    if (session_->take_question()) {
      auth::Accept accept;
      accept.route.backs = {endpoint_of("127.0.1.1:143")};
      timed([&] { session_->answered(auth::Verdict(std::move(accept)), world_->now); });
    }
    if (session_->plan().back_attempt == 0) return;
    if (!connected_) {
      connected_ = true;
      timed([&] { session_->connected(world_->now); });
      give(Side::Back, std::string(talk_->greeting()));
    }
    for (std::string bytes = take(Side::Back); !bytes.empty(); bytes = take(Side::Back)) {
      mailstub::Answer answer;
      CHECK(talk_->feed(bytes, answer) == bytes.size());
      give(Side::Back, answer.text);
    }
  }

  World* world_;
  std::unique_ptr<Session> session_;
  OpenSslEnd program_;
  std::unique_ptr<mailstub::Talk> talk_ = mailstub::make_talk(wire::Protocol::Imap, 0);
  bool connected_ = false;
  double seconds_ = 0;
};

// Handshake, IMAP, question (not the helper's answer), login at the mail server, as one.
void login(benchmark::State& state) {
  World world;
  for (auto _ : state) {
    Conversation conversation(world);
    const double seconds = conversation.log_in();
    const double before = thread_seconds();
    conversation.lose_session();
    state.SetIterationTime(seconds + thread_seconds() - before);
  }
}
BENCHMARK(login)->UseManualTime()->Unit(benchmark::kMicrosecond);

// A small request from the mail program and its answer.
void request(benchmark::State& state) {
  World world;
  Conversation conversation(world);
  conversation.log_in();
  constexpr int batch = 32;
  for (auto _ : state) {
    const std::vector<std::string> records = conversation.records("t2 NOOP\r\n", batch);
    const double before = thread_seconds();
    for (const std::string& record : records) {
      conversation.pass(Side::Front, record);
      conversation.pass(Side::Back, "t2 OK done\r\n");
    }
    state.SetIterationTime((thread_seconds() - before) / batch);
  }
}
BENCHMARK(request)->UseManualTime();

// Mail from the mail server to the mail program, so many bytes a receive.
void mail_out(benchmark::State& state) {
  World world;
  Conversation conversation(world);
  conversation.log_in();
  const std::string mail(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state)
    conversation.pass(Side::Back, mail);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(mail_out)->Arg(2048)->Arg(16384)->Arg(65536);

// Mail from the mail program to the mail server, in full records.
void mail_in(benchmark::State& state) {
  World world;
  Conversation conversation(world);
  conversation.log_in();
  constexpr int batch = 32;
  const std::string mail(16384, 'x');
  for (auto _ : state) {
    const std::vector<std::string> records = conversation.records(mail, batch);
    const double before = thread_seconds();
    for (const std::string& record : records)
      conversation.pass(Side::Front, record);
    state.SetIterationTime(thread_seconds() - before);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * batch * 16384);
}
BENCHMARK(mail_in)->UseManualTime();

// Heap of an idle session: its object, its TLS, everything but the reactor's own record of it.
void idle_session(benchmark::State& state) {
  constexpr size_t count = 500;
  double bytes = 0;
  for (auto _ : state) {
    World world;
    std::vector<Conversation> conversations;
    conversations.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      Conversation& conversation = conversations.emplace_back(world);
      conversation.log_in();
      for (const std::string& record : conversation.records("t2 NOOP\r\n", 1))
        conversation.pass(Side::Front, record);
      conversation.pass(Side::Back, std::string(4096, 'x'));
    }
    world.surroundings.pool.trim();
    const size_t before = mallinfo2().uordblks;
    for (Conversation& conversation : conversations)
      conversation.lose_session();
    bytes = static_cast<double>(before - mallinfo2().uordblks) / count;
  }
  state.counters["bytes"] = bytes;
  state.counters["of_them_session"] = sizeof(Session);
}
BENCHMARK(idle_session)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace postern::bench

BENCHMARK_MAIN();
