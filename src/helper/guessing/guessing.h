// SPDX-License-Identifier: GPL-3.0-or-later
// Guessing: who has tried too many wrong passwords, over all protocols together.
//
// What counts are *distinct* wrong passwords: one that a forgotten telephone tries a thousand times is one. They are
// counted three times: for the network, for the user, and for the user at that network. Each count delays refusals, the
// longer the higher it is, and at its limit blocks for a while; see judge() for whom. With a shared store its counts
// hold while it answers, and this process's own ones otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/endpoint.h"
#include "helper/guessing/counts.h"
#include "helper/guessing/options.h"
#include "helper/guessing/policy.h"
#include "helper/guessing/shared_store.h"
#include "helper/guessing/subject.h"
#include "helper/guessing/tally.h"

namespace postern::helper {

// Someone wants in.
struct Attempt {
  std::string user;                // folded
  std::optional<Endpoint> client;  // nothing: the gate did not say, and only the user is counted
  std::string protocol;
  std::string session;  // the gate's name of it, for the log
  bool tls = false;
  uint64_t digest = 0;  // of the password, see Guessing::digest()
};

enum class Outcome : uint8_t {
  Right,
  Wrong,
  UnknownUser,  // counts like Wrong, so that nobody learns the difference
  NoVerdict,    // changes nothing: a temporary failure, or a right password that was refused for another reason
};

// From any thread.
class Guessing {
 public:
  using Clock = std::function<Instant()>;

  Guessing(GuessingOptions options, Clock clock, LogSink log);
  // After a reload: other settings, the same counts.
  Guessing(GuessingOptions options, const Guessing& before);
  Guessing(const Guessing&) = delete;
  Guessing& operator=(const Guessing&) = delete;

  uint64_t digest(std::string_view user, std::string_view password) const {
    return memory_->key.password(user, password);
  }

  // Before the password is looked at. A block is logged.
  Judgement before(const Attempt& attempt);
  // What the password was; not after a block. Wrong ones are logged.
  void after(const Attempt& attempt, Outcome outcome);

  const GuessingOptions& options() const { return options_; }
  // Counters that this process holds.
  size_t size() const { return memory_->tally.size(); }

 private:
  // What outlives a reload.
  struct Memory {
    DigestKey key;
    Tally tally;
  };

  bool is_free(const Attempt& attempt) const;
  Subject subject_of(const Attempt& attempt) const;
  PolicyQuestion policy_question(const Attempt& attempt) const;
  Counts count(const Attempt& attempt, const Subject& subject, Instant now);
  void log_guess(const Attempt& attempt, Outcome outcome, const Counts& counts);
  void log_blocked(const Attempt& attempt, const Blocked& blocked);

  const GuessingOptions options_;
  const Clock clock_;
  const LogSink log_;
  const std::shared_ptr<Memory> memory_;
  std::unique_ptr<SharedStore> store_;    // null: none
  std::unique_ptr<PolicyServer> policy_;  // null: none
};

}  // namespace postern::helper
