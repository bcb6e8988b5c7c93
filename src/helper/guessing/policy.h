// SPDX-License-Identifier: GPL-3.0-or-later
// PolicyServer: another daemon's word on logins, over HTTP as weakforced has it: "allow" before a password is looked at,
// "report" afterwards.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log_line.h"
#include "helper/curl.h"
#include "helper/guessing/absence.h"
#include "helper/guessing/counts.h"
#include "helper/guessing/options.h"

namespace postern::helper {

using LogSink = std::function<void(const LogLine&)>;

// What the server hears of an attempt.
struct PolicyQuestion {
  std::string user;
  std::string client;  // the address without the port
  std::string protocol;
  std::string digest;  // short_digest()
  bool tls = false;
};

struct PolicyReport {
  PolicyQuestion question;
  bool success = false;
  bool policy_reject = false;  // the server itself has refused
};

// From any thread.
class PolicyServer {
 public:
  // `options` and `log` must outlive it.
  PolicyServer(const GuessingOptions& options, const LogSink& log);
  // Gives up reports that have not been sent.
  ~PolicyServer();
  PolicyServer(const PolicyServer&) = delete;
  PolicyServer& operator=(const PolicyServer&) = delete;

  // Waits no longer than `policy_timeout`; a server that is away, or talks nonsense, means Go.
  Judgement allow(const PolicyQuestion& question, Instant now);
  // Does not wait: a thread sends it. A full queue drops it, and the log counts that.
  void report(PolicyReport report, Instant now);

 private:
  struct Waiting {
    PolicyReport report;
    Instant now;
  };

  void send_reports();
  // The number under "status"; nothing: the call has failed, and the log knows.
  std::optional<int64_t> call(const char* command, const std::string& body, Instant now);
  void say(std::optional<uint64_t> failures, const char* command, const std::string& fault);
  Transfer post(const std::string& url, const std::string& body, CurlBody& reply);

  const GuessingOptions& options_;
  const LogSink& log_;
  Absence absence_;
  std::mutex lock_;
  std::condition_variable more_;
  CurlPool pool_;
  std::deque<Waiting> reports_;
  bool ending_ = false;
  std::thread reporter_;
};

}  // namespace postern::helper
