// SPDX-License-Identifier: GPL-3.0-or-later
// Probe: one look at one mail server: it connects, speaks the dialect up to its capabilities, says goodbye.
//
// The conversation is the same as a login's up to that point (protocol::Back), TLS included, so a mail server that
// passes could have served a login. No user is named.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/block_pool.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "base/outbox.h"
#include "protocol/back.h"
#include "session/setup.h"
#include "tls/channel.h"

namespace postern::health {

struct Well {
  std::string capabilities;  // see protocol::Learned
};
struct Ill {
  std::string why;   // a word for the log
  std::string text;  // a sentence for people
};
struct Unfinished {};
using Finding = std::variant<Unfinished, Well, Ill>;

class Probe {
 public:
  // `pool` must outlive the probe.
  Probe(const session::Pool& pool, const std::string& hostname, const Endpoint& member, Instant now);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // For poll(2); -1: nothing is open.
  int descriptor() const { return fd_; }
  bool wants_write() const { return !connected_ || !out_.idle(); }
  Instant deadline() const { return deadline_; }

  // The descriptor is ready, or the deadline has passed.
  void ready(Instant now);
  const Finding& finding() const { return finding_; }

 private:
  void connect(const Endpoint& member);
  void connected();
  void say_proxy_header();
  bool start_tls();
  void receive();
  void take(std::span<const char> bytes);
  void shake_hands(std::span<const char>& bytes);
  void feed(std::span<const char> bytes);
  void steer();
  void say(std::string_view plain);
  void send();
  void ill(std::string why, std::string text);

  const session::Pool& pool_;
  Endpoint member_;
  Instant deadline_;
  int fd_ = -1;
  bool connected_ = false;
  bool shaking_hands_ = false;
  std::unique_ptr<protocol::Back> back_;
  tls::Channel channel_;
  BlockPool blocks_;
  Outbox out_;
  size_t flown_ = 0;  // of the block in flight
  Finding finding_;
};

}  // namespace postern::health
