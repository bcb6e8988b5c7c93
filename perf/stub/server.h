// SPDX-License-Identifier: GPL-3.0-or-later
// Server: the simulated mail server's one thread. It carries bytes between sockets and the talks, with as little work
// as an epoll loop can do, since it shares a core with the load generator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perf/stub/mail_talk.h"
#include "perf/wire/machine.h"
#include "perf/wire/stream.h"
#include "perf/wire/tls.h"

namespace postern::mailstub {

enum class Talk : uint8_t {
  Imap,
  AuthHttp,  // nginx's mail module asks here (HTTP/1.0, one question a connection)
  Helper,    // the gate asks here (postern-helper protocol, version 1)
};

class Server {
 public:
  struct Options {
    uint64_t mail_size = 16 << 20;  // a whole mail; a partial FETCH gets less
    std::string helper_fields;      // appended to each answer to the gate, such as "&ttl=300"
    wire::Context tls;              // set: the IMAP listeners speak TLS from the first byte
  };

  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes over the listener. The addresses of the Imap listeners are what the other talks answer with, in turn.
  absl::Status add_listener(int listener, Talk talk);
  // Until SIGINT, SIGTERM or SIGUSR1.
  absl::Status run();

 private:
  struct Conversation;

  void accept_all(int listener, Talk talk);
  void serve(Conversation& conversation);
  // False: the conversation cannot go on now, for the peer reads slowly or is gone.
  bool flush(Conversation& conversation);
  bool read_more(Conversation& conversation);
  void answer_all(Conversation& conversation, std::string_view input);
  bool send_answer(Conversation& conversation);
  size_t understand(Conversation& conversation, std::string_view input);
  void answer_http();
  void answer_helper(std::string_view line);
  void watch(Conversation& conversation);
  void end(Conversation& conversation);
  const Endpoint& next_back();

  Options options_;
  int epoll_ = -1;
  int signals_ = -1;
  std::vector<std::pair<int, Talk>> listeners_;
  std::vector<Endpoint> backs_;
  size_t next_back_ = 0;
  std::vector<std::unique_ptr<Conversation>> conversations_;  // by socket
  std::string mail_;                                          // what every mail consists of, over and over
  std::vector<char> incoming_;
  Answer answer_;
};

}  // namespace postern::mailstub
