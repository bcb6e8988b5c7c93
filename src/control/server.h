// SPDX-License-Identifier: GPL-3.0-or-later
// Server: the gate's control socket, served by a thread of its own.
//
// A request is one line, a form as in the helper's protocol (`op=sessions&user=joe`); the answer is one JSON document a
// line. The last document of an answer, and no other, has the member `result`: "ok", or "error" with a `text`. A
// connection may ask again afterwards.
//
// Everything is bounded: connections, a request's bytes, the time in which it must be whole, answers that wait to be
// read. Who talks nonsense is told so and hung up on; nobody else waits for that.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "auth/form.h"
#include "base/clock.h"
#include "control/errands.h"
#include "control/json.h"

namespace postern::control {

// A bound and listening Unix socket; closes it and removes its file when it dies.
class Door {
 public:
  Door() = default;
  Door(Door&& other) noexcept { *this = std::move(other); }
  Door& operator=(Door&& other) noexcept;
  ~Door() { close(); }

  // Mode 0660 and that owner: root and the group may connect. A socket file that nobody listens on is replaced; one
  // that somebody serves, and a file that is no socket, is refused with a sentence. `takes_over`: also one that is
  // served, since its gate is being replaced; whoever is connected there stays connected.
  absl::Status open(const std::string& path, uint32_t user, uint32_t group, bool takes_over = false);
  int fd() const { return fd_; }
  void close();

 private:
  std::string path_;
  uint64_t number_ = 0;  // of the file at path_, while it is this door's
  int fd_ = -1;
};

class Server;

// One request's way back. A small value; may outlive its client, and then does nothing. Control thread only.
class Answer {
 public:
  Answer(Server& server, uint64_t client, uint64_t request) : server_(&server), client_(client), request_(request) {}

  // A document that is not the last.
  void add(const Json& document);
  // The last one: adds `result`.
  void end(Json document = Json::object());
  void fail(std::string_view sentence);
  // The client still waits for this answer.
  bool is_wanted() const;
  // Calls `more` once what was added has mostly been read. Long answers go on from there, so that a slow reader holds
  // little memory. The last wish counts.
  void when_room(std::function<void()> more);
  // Calls `gone` if the client leaves before the end.
  void when_gone(std::function<void()> gone);
  // Calls `late` at that time, if the answer is still wanted then.
  void at(Instant due, std::function<void()> late);

 private:
  Server* server_;
  uint64_t client_;
  uint64_t request_;
};

class Server {
 public:
  using Handle = std::function<void(const auth::Form& request, Answer answer)>;

  // Beyond it a new connection is told so and closed.
  static constexpr size_t clients_max = 32;
  // How long a request may take to come whole, how long an answer may wait to be read, and how long a connection may
  // do nothing.
  static constexpr Duration patience = std::chrono::seconds(30);
  // Bytes of an answer that wait: below it there is room for more, beyond the maximum the client is hung up on.
  static constexpr size_t room_below = 64 * 1024;
  static constexpr size_t waiting_max = 16 << 20;

  explicit Server(Door door) : door_(std::move(door)) {}
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts the thread, which calls `handle` for each request.
  void start(Handle handle);
  void stop();
  // For other threads that have something for the control thread.
  const std::shared_ptr<Errands>& errands() const { return errands_; }

 private:
  friend class Answer;

  struct Client {
    int fd = -1;
    auth::LineSplitter lines;
    std::string out;
    size_t sent = 0;          // bytes of `out`
    uint64_t request = 0;     // the number of the one under way, or of the last
    bool answering = false;   // one is under way
    bool reads = true;        // false: it has said its last
    bool overflowed = false;  // it did not read, and whoever answers did not ask for room
    bool closing = false;     // after what is in `out`
    Instant due;              // must have done something by then
    std::function<void()> more;
    std::function<void()> gone;
    Instant late_at = instant_never;
    std::function<void()> late;

    size_t waiting() const { return out.size() - sent; }
  };

  void run();
  void accept_clients(Instant now);
  void receive(uint64_t id);
  void take_requests(uint64_t id);
  void send(Client& client, Instant now);
  void say(Client& client, const Json& document);
  void refuse(Client& client, std::string_view sentence);
  void settle(Instant now);
  void drop(uint64_t id);
  Client* find(uint64_t id, uint64_t request);

  Door door_;
  Handle handle_;
  std::shared_ptr<Errands> errands_ = std::make_shared<Errands>();
  std::map<uint64_t, Client> clients_;
  uint64_t next_client_ = 1;
  Instant accept_again_ = Instant::min();
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace postern::control
