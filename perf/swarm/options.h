// SPDX-License-Identifier: GPL-3.0-or-later
// What the command line of postern-swarm can say, and what it means where it says nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/endpoint.h"
#include "perf/wire/protocol.h"
#include "perf/wire/tls.h"

namespace postern::swarm {

enum class Mode : uint8_t { Hold, Login, Ping, Fetch };

// A mail program that only submits mail gets none.
constexpr bool can_fetch(wire::Protocol protocol) {
  return protocol != wire::Protocol::Submission;
}

struct Options {
  Mode mode = Mode::Hold;
  wire::Protocol protocol = wire::Protocol::Imap;

  Endpoint front;      // the gate, or a mail server itself
  bool plain = false;  // no TLS
  wire::FrontTls tls;
  std::string sni;       // empty: none
  std::string alpn;      // empty: none
  Endpoint source;       // with `sources`: the first address that connections come from; they take turns
  uint32_t sources = 0;  // 0: the kernel chooses

  std::string user = "user%d@example.test";  // %d becomes first_user, first_user + 1, ...
  std::string password = "secret";
  uint32_t users = 1000;  // then from the beginning again
  uint32_t first_user = 0;

  uint32_t sessions = 100;           // hold, ping, fetch: established sessions
  uint32_t concurrency = 64;         // logins under way at a time
  uint64_t count = 1000;             // login: logins; ping: requests
  double rate = 0;                   // login, ping: so many a second; 0: as fast as answers come
  uint64_t bytes = 1 << 30;          // fetch: until so many bytes of mail came
  uint64_t size = 0;                 // fetch: so much of the mail each time; 0: all of it
  uint64_t exercise = 0;             // hold, ping, fetch: after login each session asks NOOP and fetches so many bytes
  uint64_t faults_max = UINT64_MAX;  // open nothing new after so many faults
  bool resume = false;               // login: each simulated mail program resumes its TLS session by ticket
  bool idle = false;                 // hold: rest in IDLE
  bool check = true;                 // hold: at the end each session must still answer
  bool step = false;                 // wait for a line on standard input before and after what is measured

  int core = -1;                                    // -1: any
  std::chrono::milliseconds stay{10000};            // hold
  std::chrono::milliseconds answer_timeout{30000};  // for one step of one session
  std::chrono::milliseconds time_max{600000};       // for everything; then the report says what was done until then
};

enum class Reading : uint8_t { Run, Helped, Wrong };

// Fills `options` from the command line. Helped: --help was asked for and given; Wrong: the fault was told on stderr.
[[nodiscard]] Reading read_options(int count, char** words, Options& options);

}  // namespace postern::swarm
