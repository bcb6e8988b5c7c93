// SPDX-License-Identifier: GPL-3.0-or-later
// Server: the simulated mail server's one thread. It carries bytes between sockets and the talks, with as little work
// as an epoll loop can do, since it shares a core with the load generator.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perf/stub/talk.h"
#include "perf/wire/machine.h"
#include "perf/wire/stream.h"
#include "perf/wire/tls.h"

namespace postern::mailstub {

// Who comes to a listener.
enum class Door : uint8_t {
  Mail,      // proxies with their users
  AuthHttp,  // nginx's mail module with questions (HTTP/1.0, one question a connection)
  Helper,    // the gate with questions (postern-helper protocol, version 1)
};

class Server {
 public:
  struct Options {
    uint64_t mail_size = 16 << 20;  // a whole mail; a partial FETCH and TOP get less
    std::string helper_fields;      // appended to each answer to the gate, such as "&ttl=300"
    wire::Context tls;              // set: the mail listeners speak TLS from the first byte
  };

  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Take over the listener. The addresses of a protocol's mail listeners are what questions about it are answered with,
  // in turn.
  absl::Status add_mail_listener(int socket, wire::Protocol protocol);
  absl::Status add_listener(int socket, Door door);
  // Until SIGINT, SIGTERM or SIGUSR1.
  absl::Status run();

 private:
  struct Conversation;
  struct Listener {
    int socket = -1;
    Door door = Door::Mail;
    wire::Protocol protocol = wire::Protocol::Imap;
  };
  struct Backs {
    std::vector<Endpoint> endpoints;
    size_t next = 0;
  };

  absl::Status add(const Listener& listener);
  void accept_all(const Listener& listener);
  // False: it has ended already.
  bool begin(Conversation& conversation, const Listener& listener);
  void serve(Conversation& conversation);
  // False: the conversation cannot go on now, for the peer reads slowly or is gone.
  bool flush(Conversation& conversation);
  bool read_more(Conversation& conversation);
  void answer_all(Conversation& conversation, std::string_view input);
  bool send_answer(Conversation& conversation);
  size_t understand(Conversation& conversation, std::string_view input);
  void answer_http(std::string_view question);
  void answer_helper(std::string_view line);
  void watch(Conversation& conversation);
  void end(Conversation& conversation);
  const Endpoint& next_back(wire::Protocol protocol);

  Options options_;
  int epoll_ = -1;
  int signals_ = -1;
  std::vector<Listener> listeners_;
  std::array<Backs, wire::protocol_words.size()> backs_;      // by protocol
  std::vector<std::unique_ptr<Conversation>> conversations_;  // by socket
  std::string mail_;                                          // what every mail consists of, over and over
  std::vector<char> incoming_;
  Answer answer_;
};

}  // namespace postern::mailstub
