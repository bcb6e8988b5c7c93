// SPDX-License-Identifier: GPL-3.0-or-later
// The serving loop: one thread that reads questions from any number of connections, and answers that come back from
// any thread in any order.
//
// Two parties touch a connection. The serving thread alone reads it, makes it and closes it. Its output and its count
// of open questions are shared with the threads that answer, under one lock that is held for a copy of a line, never
// for a system call that blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/secret_buffer.h"
#include "helper/sdk/question.h"

namespace postern::helper_sdk {

// A gate's connection.
struct Connection {
  int descriptor = -1;
  uint64_t number = 0;  // never used again, so that a late answer finds nobody rather than somebody else
  postern_peer peer{};
  // The serving thread's.
  auth::LineSplitter input;
  uint32_t interest = 0;    // what epoll was told to look for
  bool read_ended = false;  // the peer sends no more, or no more is wanted from it
  // Under the lock.
  SecretBuffer output;
  uint32_t in_flight = 0;
};

class Server {
 public:
  explicit Server(const postern_helper_options& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // False with errno: the system has no descriptors for us.
  [[nodiscard]] bool open();
  postern_fault serve(postern_helper* self);
  // From any thread.
  postern_fault answer(const OwnedQuestion& question, const postern_answer& answer);
  postern_fault invalidate(std::string_view user);
  // Also from a signal handler.
  void stop();

 private:
  enum class Fate : uint8_t { Lives, Ends };
  enum class Pause : uint8_t { NoLine, Full };  // why no further line was taken

  void accept_all();
  void admit(int descriptor);
  void pause_accepting();
  void on_event(uint64_t number, uint32_t events);
  void on_woken();
  // Reads, asks, sends and re-arms: whatever this connection can do now.
  void advance(Connection& connection, bool readable);
  Fate read(Connection& connection);
  Pause ask_all(Connection& connection);
  void on_line(Connection& connection, std::string_view line);
  void say(Connection& connection, const BuiltLine& built);
  void say_error(Connection& connection, std::string_view id, const char* text);
  Fate flush(Connection& connection);
  bool is_full(const Connection& connection);
  bool is_finished(const Connection& connection);
  void watch(Connection& connection);
  void close(Connection& connection);
  bool is_drained();
  int wait_ms() const;
  void wake();

  const postern_helper_options options_;
  const std::string name_;
  postern_helper* self_ = nullptr;
  int epoll_ = -1;
  int wake_ = -1;  // an eventfd: answers wait in outputs, or stop() was called
  bool accepting_ = false;
  std::atomic<bool> stopping_ = false;
  uint64_t last_number_ = 0;

  std::mutex lock_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;  // changed by the serving thread only, under the lock
  std::vector<uint64_t> answered_;                               // connections with new output
};

}  // namespace postern::helper_sdk
