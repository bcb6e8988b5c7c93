// SPDX-License-Identifier: GPL-3.0-or-later
// Cache: what the helper said lately, so that it need not be asked again. One for the process, shared by all reactors.
//
// Thread-safe: entries are spread over stripes with a mutex each, and a login takes one of them once.
//
// Keys. A verdict is found by a keyed digest of everything that the helper was told except the session's name and the
// mail program's address. Where the answer said `vary=client`, that digest leads to a mark "varies by client" instead,
// and the verdict lies under a second digest that takes in the address (not its port). The key is of this process's
// start, so what lies in memory cannot be tried against a dictionary; no password of a mail program is stored.
// Passwords that the helper gave for a mail server are stored, as Secrets.
//
// Spaces. Accepted and refused logins have a space of their own each, and the least recently used entry leaves first:
// whoever guesses passwords pushes out guesses only.
//
// Freshness. An accepted login is good for `ttl`, and for `stale` beyond it while the helper cannot say (stale()). A
// refused one is good for its ttl but never for more than reject_reuse_max: then the helper is asked again before it
// refuses a second time, because the password may just have been changed. A new verdict replaces what was there,
// whether it may be kept or not.
//
// Invalidation drops all entries of a user: by the name that the mail program gave, by its authorisation identity and
// by the name that the helper answered, without regard to ASCII case (to drop too much costs one question). An answer
// to a question that was put before an invalidation of its user is not stored: it may be older than the change.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "auth/options.h"
#include "auth/question.h"
#include "auth/shelf.h"
#include "auth/wire.h"
#include "base/clock.h"

namespace postern::auth {

// HMAC-SHA256 under a random key, made by whoever has a library for it. Called from all threads at once.
using KeyedHash = std::function<std::array<uint8_t, 32>(std::string_view message)>;

// How long a refusal may be repeated without asking.
inline constexpr Duration reject_reuse_max = std::chrono::seconds(3);

// What the cache knows of a question: no byte of it, only digests.
struct CacheKeys {
  Digest plain;                       // without the mail program's address
  Digest with_client;                 // with it; also what makes two questions the same question
  std::array<NameDigest, 2> names{};  // user, authzid
};

class Cache {
 public:
  struct Report {
    uint64_t hits = 0;         // answered from the cache, accepted and refused
    uint64_t reject_hits = 0;  // of these: refused
    uint64_t misses = 0;
    uint64_t stale = 0;        // answered past their ttl because the helper could not say
    uint64_t evictions = 0;    // entries that left for want of room
    uint64_t invalidated = 0;  // entries dropped by invalidate()
    uint64_t entries = 0;      // now, accepted
    uint64_t reject_entries = 0;
  };

  // Up to 1,023 `entries` are one stripe, more are 16 stripes with an equal share each. Durations beyond ttl_max are
  // cut.
  Cache(const CacheOptions& options, KeyedHash hash);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  CacheKeys keys(const Question& question) const;
  // The verdict, if it is fresh. Counts a hit or a miss.
  std::optional<Verdict> fresh(const CacheKeys& keys, Instant now);
  // An accepted verdict no more than `stale` past its ttl, for when the helper cannot say. Counts only if there is one.
  std::optional<Verdict> stale(const CacheKeys& keys, Instant now);

  // To be asked when a question is put; an opaque count of invalidations.
  uint64_t epoch() const { return epoch_.load(); }
  // Stores the answer to a question put at `asked`. NotNow changes nothing.
  void keep(const CacheKeys& keys, const Verdict& verdict, const Keeping& keeping, uint64_t asked, Instant now);
  // Drops the user's entries; "*" drops all.
  void invalidate(std::string_view user);
  // Entries of the user, accepted and refused.
  size_t entries_of(std::string_view user) const;
  // An answer to a question put at `asked` may be out of date.
  bool invalidated_since(uint64_t asked, const CacheKeys& keys) const;

  Report report() const;

 private:
  struct Stripe;
  // The user, the authorisation identity, and the user that the helper answered.
  using Names = std::array<NameDigest, names_of_entry>;
  // Invalidations that are remembered by name; a question older than all of them counts as invalidated.
  static constexpr size_t recent_max = 64;

  Stripe& stripe_of(const CacheKeys& keys) const;
  Digest digest(std::string_view message) const;
  NameDigest name_digest(std::string_view name) const;
  Names names_of(const CacheKeys& keys, const Verdict& verdict) const;
  bool named_since(uint64_t asked, std::span<const NameDigest> names) const;
  Duration ttl_of(const Verdict& verdict, const Keeping& keeping) const;

  const CacheOptions options_;
  const KeyedHash hash_;
  const size_t stripe_count_;
  std::unique_ptr<Stripe[]> stripes_;
  std::atomic<uint64_t> epoch_{0};
  mutable std::mutex recent_mutex_;  // taken inside a stripe's, never the other way about
  std::array<NameDigest, recent_max> recent_{};
};

}  // namespace postern::auth
