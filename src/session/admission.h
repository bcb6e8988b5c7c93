// SPDX-License-Identifier: GPL-3.0-or-later
// Admission: who may come in while others are here. Counts sessions by the mail program's address and network, those
// that have not logged in, and TLS handshakes a second; at a limit the newcomer is turned away, so that who came earlier,
// and above all who has logged in, goes on undisturbed.
//
// One for the process, shared by all reactors; any thread. It is touched when a session begins, when it shakes hands,
// when it has logged in and when it is gone, never while mail passes. Memory: an entry for each address (and network,
// where that is limited) that has sessions, and at most `paces_max` addresses whose handshakes are watched.
//
// In IPv6 the address counts by its first 64 bits, since that is what one customer gets.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "session/options.h"

namespace postern::session {

// Which limit turned a mail program away.
enum class Limit : uint8_t {
  Sessions,
  SessionsPerAddress,
  SessionsPerNetwork,
  Unauthenticated,
  UnauthenticatedPerAddress,
  HandshakeRate,
  HandshakeRatePerAddress,
  Memory,
};
inline constexpr size_t limit_count = 8;
// The name of its setting in [limits]: the word for logs and metrics.
std::string_view limit_word(Limit limit);
// The number that the configuration sets there.
uint64_t limit_value(Limit limit, const Limits& limits);

class Admission {
 public:
  // What one session holds of the counts; part of it for its whole life.
  class Share {
   public:
    Share() = default;
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    friend class Admission;
    uint64_t address_ = 0;
    uint8_t network_bits_ = 0;  // of address_; 0: not counted by network
    bool by_address_ = false;   // counted there
    bool exempt_ = false;
    bool waits_ = false;  // has not logged in
  };

  // Addresses whose handshakes are watched at the same time. An address is forgotten when its bucket is full again; beyond
  // this number new ones pass unwatched, and only the gate's own rate holds.
  static constexpr uint32_t paces_max = 65536;

  // A mail program at this address wants in. With a limit nothing is counted. `spoken_for`: the listener trusts it as a
  // webmail host, which is as good as `exempt`.
  [[nodiscard]] std::optional<Limit> admit(const Endpoint& address, bool spoken_for, const Limits& limits,
                                           Share& share);
  // It is about to shake hands.
  [[nodiscard]] std::optional<Limit> shake_hands(const Share& share, const Limits& limits, Instant now);
  // It has logged in.
  void logged_in(Share& share);
  // It is gone, wherever it stood; once more does nothing.
  void release(Share& share);

  // The process has come to limits.memory, or has room again.
  void set_memory_full(bool full) { memory_full_.store(full, std::memory_order_relaxed); }
  bool memory_full() const { return memory_full_.load(std::memory_order_relaxed); }
  // Sessions that have not logged in.
  uint32_t unauthenticated() const { return unauthenticated_.load(std::memory_order_relaxed); }
  // Addresses with an entry of any kind.
  size_t addresses() const;

 private:
  // Token buckets, each as the one moment at which it is full again (GCRA); nanoseconds of the monotonic clock.
  using FullAt = int64_t;

  struct Tally {
    uint32_t sessions = 0;
    uint32_t unauthenticated = 0;
  };
  // A share of the addresses with a lock of its own, so that reactors seldom meet.
  struct Stripe {
    mutable std::mutex mutex;
    absl::flat_hash_map<uint64_t, Tally> addresses;
    absl::flat_hash_map<uint64_t, uint32_t> networks;
    absl::flat_hash_map<uint64_t, FullAt> paces;
    FullAt swept = 0;
  };
  static constexpr size_t stripe_count = 16;  // four bits of a hash

  Stripe& stripe_of(uint64_t key);
  std::optional<Limit> count(Share& share, const Limits& limits);
  void uncount(Share& share, bool waited);
  bool take_network(const Share& share, uint32_t max);
  void release_network(const Share& share);
  bool take_pace(uint64_t address, uint32_t rate, FullAt now);
  bool take_pace(uint32_t rate, FullAt now);

  Stripe stripes_[stripe_count];
  std::atomic<uint32_t> unauthenticated_{0};
  std::atomic<FullAt> full_at_{0};  // the gate's own bucket
  std::atomic<bool> memory_full_{false};
};

}  // namespace postern::session
