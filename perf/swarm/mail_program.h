// SPDX-License-Identifier: GPL-3.0-or-later
// MailProgram: one simulated mail program, from connect to logout, one command at a time. What it says is its Talk's.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perf/swarm/options.h"
#include "perf/swarm/talk.h"
#include "perf/wire/machine.h"
#include "perf/wire/stream.h"

namespace postern::swarm {

// How a session ended that should not have. `None`: it did not.
enum class Fault : uint8_t {
  None,
  NoSocket,        // this machine has no descriptor or port left
  Refused,         // nobody listens, or the backlog is full
  ConnectFailed,   // any other failure of connect
  TlsFailed,       // the handshake or a record was bad
  BadGreeting,     // the other side did not greet, or not as its dialect does
  LoginRefused,    // the answer to a step of the login was no
  CommandRefused,  // the same of anything else
  Bye,             // "* BYE" or 421 and the end, unasked
  Closed,          // the end without a word
  Reset,
  BadAnswer,  // what the dialect does not know, or a line that is too long
  Timeout,    // no answer within the limit
};
inline constexpr size_t fault_count = static_cast<size_t>(Fault::Timeout) + 1;
// "refused", "tls_failed", ...: the key in the report.
std::string_view fault_word(Fault fault);

enum class Step : uint8_t { Nothing, LoggedIn, Answered, LoggedOut, Failed };

// What all programs share: where they go, who they are, and what is counted over all of them.
struct World {
  const Options* options = nullptr;
  SSL_CTX* tls = nullptr;  // null: plain
  std::vector<char> incoming = std::vector<char>(256 * 1024);
  uint64_t mail_bytes = 0;  // that were fetched
  uint64_t handshakes = 0;
  uint64_t resumed = 0;     // of the handshakes
  std::string tls_version;  // of the first handshake
  std::string tls_cipher;
};

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

class MailProgram {
 public:
  enum class State : uint8_t { Closed, Connecting, Handshaking, Greeting, LoggingIn, Resting, Asking, LoggingOut };

  explicit MailProgram(World& world) : world_(&world) {}

  // Begins to connect. `serial` chooses the source address, `user` the name. The program must not move while it is
  // open.
  Fault open(uint32_t serial, uint32_t user, wire::Instant now);
  // Does all that can be done now and says what came of it. After Failed see fault().
  Step go_on(wire::Instant now);
  // From Resting: sends the command; Answered follows. IDLE is answered when the other side begins to idle.
  void ask(const Request& request, wire::Instant now);
  void log_out(wire::Instant now);
  void close();

  State state() const { return state_; }
  Fault fault() const { return fault_; }
  int socket() const { return stream_.socket(); }
  // What epoll should wait for.
  bool waits_to_write() const;
  // When it will have waited too long; meaningless while it rests or is closed.
  wire::Instant deadline() const { return deadline_; }
  bool waits() const { return state_ != State::Closed && state_ != State::Resting; }
  // OpenSSL hands us the ticket for the next visit.
  void keep_ticket(SSL_SESSION* session) { ticket_.reset(session); }

 private:
  Step fail(Fault fault);
  bool finish_connect();
  bool finish_handshake();
  bool begin_tls();
  bool flush();
  Step read_all();
  Step understand(std::string_view chunk);
  Step on_heard(Heard heard);
  Step on_ok();
  Fault refusal() const;
  void send(std::string_view line);
  void await(State state, wire::Instant now);

  World* world_;
  wire::Stream stream_;
  State state_ = State::Closed;
  Fault fault_ = Fault::None;
  uint8_t login_step_ = 0;
  uint32_t user_ = 0;
  wire::Instant deadline_{};
  std::unique_ptr<Talk> talk_;  // of this connection
  std::string output_;          // what the socket did not take yet
  std::unique_ptr<SSL_SESSION, FreeSession> ticket_;
};

}  // namespace postern::swarm
