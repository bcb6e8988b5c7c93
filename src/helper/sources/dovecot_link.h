// SPDX-License-Identifier: GPL-3.0-or-later
// DovecotLink: one connection with Dovecot's auth socket for many questions at one time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/secret_buffer.h"
#include "helper/sources/dovecot_auth.h"

namespace postern::helper {

// Makes the connection when it is needed, and another one when it breaks. There is no thread: of those who wait for an
// answer, one reads for all.
class DovecotLink {
 public:
  explicit DovecotLink(std::string path) : path_(std::move(path)) {}
  ~DovecotLink();
  DovecotLink(const DovecotLink&) = delete;
  DovecotLink& operator=(const DovecotLink&) = delete;

  // What Dovecot says it can do, from its greeting: "PLAIN", "XOAUTH2", ...
  absl::StatusOr<std::vector<std::string>> mechanisms(Instant deadline);
  // Sends the line that `question` makes for an id, and waits. A connection that breaks is retried once, unless it was
  // made for this question. A Status says why there is no answer.
  absl::StatusOr<DovecotAnswer> ask(const std::function<Secret(uint32_t id)>& question, Instant deadline);

 private:
  enum class Waited : uint8_t { Done, Lost, Late };
  using Lock = std::unique_lock<std::mutex>;

  absl::Status connect(bool& is_fresh);
  // Until `is_done`, or `generation` of the connection is over, or it is too late. Reads if nobody does.
  Waited wait(Lock& lock, uint32_t generation, Instant deadline, const std::function<bool()>& is_done);
  void read(Lock& lock, Instant deadline);
  void take_input();
  void take_line(std::string_view line);
  void send(std::string_view line);
  void lose(std::string why);
  Waited ask_on_this(Lock& lock, const std::function<Secret(uint32_t id)>& question, Instant deadline,
                     DovecotAnswer& answer);

  const std::string path_;
  std::mutex lock_;
  std::condition_variable changed_;
  int socket_ = -1;
  uint32_t generation_ = 0;  // of the connection
  bool is_ready_ = false;    // the greeting is complete
  bool is_lost_ = false;
  bool is_reading_ = false;
  std::string why_lost_;
  std::vector<std::string> mechanisms_;
  SecretBuffer input_;
  uint32_t last_id_ = 0;
  std::map<uint32_t, std::optional<DovecotAnswer>> waiting_;
};

}  // namespace postern::helper
