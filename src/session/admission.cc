// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/admission.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"

namespace postern::session {
namespace {

// Handshakes that may come at once before the rate holds, in seconds of that rate: a mail program opens several
// connections when it starts, and an office all of them when its line is back. The gate's own bucket is what its cores
// work off before a mail program loses patience.
constexpr int64_t address_burst_s = 10;
constexpr int64_t gate_burst_s = 2;
constexpr int64_t second_ns = 1'000'000'000;

// IPv4 as the low 32 bits, IPv6 by its first 64, of which the upper 32 are never all zero where mail programs live (RFC
// 4291, section 2.4: ::/8 is not assigned).
uint64_t key_of(const Endpoint& endpoint) {
  uint64_t key = 0;
  const size_t size = endpoint.v6 ? 8 : 4;
  for (size_t i = 0; i < size; ++i)
    key = key << 8 | endpoint.address[i];
  return key;
}

bool is_v6(uint64_t key) {
  return key >> 32 != 0;
}

uint64_t network_of(uint64_t key, uint8_t bits) {
  const unsigned width = is_v6(key) ? 64 : 32;
  const unsigned host_bits = width - std::min<unsigned>(bits, width);
  return key >> host_bits << host_bits;
}

// The bucket's new state with one more token taken; nothing: it is empty.
std::optional<int64_t> take_token(int64_t full_at, uint32_t rate, int64_t burst_s, int64_t now) {
  const int64_t next = std::max(full_at, now) + second_ns / rate;
  if (next > now + burst_s * second_ns) return std::nullopt;
  return next;
}

bool is_full(uint32_t count, uint32_t max) {
  return max != 0 && count >= max;
}

}  // namespace

std::string_view limit_word(Limit limit) {
  switch (limit) {
    case Limit::Sessions: return "sessions";
    case Limit::SessionsPerAddress: return "sessions_per_address";
    case Limit::SessionsPerNetwork: return "sessions_per_network";
    case Limit::Unauthenticated: return "unauthenticated";
    case Limit::UnauthenticatedPerAddress: return "unauthenticated_per_address";
    case Limit::HandshakeRate: return "handshake_rate";
    case Limit::HandshakeRatePerAddress: return "handshake_rate_per_address";
    case Limit::Memory: return "memory";
  }
  return "unknown";
}

uint64_t limit_value(Limit limit, const Limits& limits) {
  switch (limit) {
    case Limit::Sessions: return limits.sessions;
    case Limit::SessionsPerAddress: return limits.sessions_per_address;
    case Limit::SessionsPerNetwork: return limits.sessions_per_network;
    case Limit::Unauthenticated: return limits.unauthenticated;
    case Limit::UnauthenticatedPerAddress: return limits.unauthenticated_per_address;
    case Limit::HandshakeRate: return limits.handshake_rate;
    case Limit::HandshakeRatePerAddress: return limits.handshake_rate_per_address;
    case Limit::Memory: return limits.memory;
  }
  return 0;
}

Admission::Stripe& Admission::stripe_of(uint64_t key) {
  // The upper bits: the maps themselves look at the lower ones.
  return stripes_[absl::Hash<uint64_t>()(key) >> 60];
}

// ---- Sessions ------------------------------------------------------------------------------------------------------

std::optional<Limit> Admission::admit(const Endpoint& address, bool spoken_for, const Limits& limits, Share& share) {
  if (memory_full()) return Limit::Memory;
  share.address_ = key_of(address);
  share.exempt_ = spoken_for || any_contains(limits.exempt, address);
  if (!share.exempt_) {
    // First his own limits: whoever has reached them is the one to name.
    if (const std::optional<Limit> limit = count(share, limits)) return limit;
    // This count may pass the limit by as many as there are reactors; it need not be exact.
    if (is_full(unauthenticated(), limits.unauthenticated)) {
      uncount(share, true);
      return Limit::Unauthenticated;
    }
  }
  share.waits_ = true;
  unauthenticated_.fetch_add(1, std::memory_order_relaxed);
  return std::nullopt;
}

// By network and by address.
std::optional<Limit> Admission::count(Share& share, const Limits& limits) {
  if (limits.sessions_per_network != 0) {
    share.network_bits_ =
        static_cast<uint8_t>(is_v6(share.address_) ? limits.network_prefix_v6 : limits.network_prefix_v4);
    if (!take_network(share, limits.sessions_per_network)) {
      share.network_bits_ = 0;
      return Limit::SessionsPerNetwork;
    }
  }
  if (limits.sessions_per_address == 0 && limits.unauthenticated_per_address == 0) return std::nullopt;
  std::optional<Limit> reached;
  {
    Stripe& stripe = stripe_of(share.address_);
    const std::lock_guard lock(stripe.mutex);
    Tally& tally = stripe.addresses[share.address_];
    if (is_full(tally.sessions, limits.sessions_per_address)) {
      reached = Limit::SessionsPerAddress;
    } else if (is_full(tally.unauthenticated, limits.unauthenticated_per_address)) {
      reached = Limit::UnauthenticatedPerAddress;
    } else {
      tally.sessions++;
      tally.unauthenticated++;
      share.by_address_ = true;
      return std::nullopt;
    }
  }
  release_network(share);
  share.network_bits_ = 0;
  return reached;
}

bool Admission::take_network(const Share& share, uint32_t max) {
  const uint64_t network = network_of(share.address_, share.network_bits_);
  Stripe& stripe = stripe_of(network);
  const std::lock_guard lock(stripe.mutex);
  uint32_t& count = stripe.networks[network];
  if (count >= max) return false;
  ++count;
  return true;
}

void Admission::release_network(const Share& share) {
  if (share.network_bits_ == 0) return;
  const uint64_t network = network_of(share.address_, share.network_bits_);
  Stripe& stripe = stripe_of(network);
  const std::lock_guard lock(stripe.mutex);
  const auto found = stripe.networks.find(network);
  if (found != stripe.networks.end() && --found->second == 0) stripe.networks.erase(found);
}

void Admission::logged_in(Share& share) {
  if (!share.waits_) return;
  share.waits_ = false;
  unauthenticated_.fetch_sub(1, std::memory_order_relaxed);
  if (!share.by_address_) return;
  Stripe& stripe = stripe_of(share.address_);
  const std::lock_guard lock(stripe.mutex);
  stripe.addresses[share.address_].unauthenticated--;
}

void Admission::release(Share& share) {
  const bool waited = std::exchange(share.waits_, false);
  if (waited) unauthenticated_.fetch_sub(1, std::memory_order_relaxed);
  uncount(share, waited);
}

void Admission::uncount(Share& share, bool waited) {
  release_network(share);
  share.network_bits_ = 0;
  if (!std::exchange(share.by_address_, false)) return;
  Stripe& stripe = stripe_of(share.address_);
  const std::lock_guard lock(stripe.mutex);
  const auto found = stripe.addresses.find(share.address_);
  if (found == stripe.addresses.end()) return;
  if (waited) found->second.unauthenticated--;
  if (--found->second.sessions == 0) stripe.addresses.erase(found);
}

size_t Admission::addresses() const {
  size_t count = 0;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    count += stripe.addresses.size() + stripe.networks.size() + stripe.paces.size();
  }
  return count;
}

// ---- Handshakes ----------------------------------------------------------------------------------------------------

std::optional<Limit> Admission::shake_hands(const Share& share, const Limits& limits, Instant now) {
  if (share.exempt_) return std::nullopt;
  const FullAt now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  // First the address's own bucket: who has emptied it takes nothing from the others.
  if (limits.handshake_rate_per_address != 0 && !take_pace(share.address_, limits.handshake_rate_per_address, now_ns)) {
    return Limit::HandshakeRatePerAddress;
  }
  if (limits.handshake_rate != 0 && !take_pace(limits.handshake_rate, now_ns)) return Limit::HandshakeRate;
  return std::nullopt;
}

bool Admission::take_pace(uint64_t address, uint32_t rate, FullAt now) {
  Stripe& stripe = stripe_of(address);
  const std::lock_guard lock(stripe.mutex);
  const auto found = stripe.paces.find(address);
  if (found != stripe.paces.end()) {
    const std::optional<FullAt> next = take_token(found->second, rate, address_burst_s, now);
    if (next) found->second = *next;
    return next.has_value();
  }
  if (stripe.paces.size() >= paces_max / stripe_count) {
    // Seldom, since it looks at all of them.
    if (now - stripe.swept < second_ns) return true;
    stripe.swept = now;
    absl::erase_if(stripe.paces, [now](const auto& pace) { return pace.second <= now; });
    if (stripe.paces.size() >= paces_max / stripe_count) return true;
  }
  if (const std::optional<FullAt> next = take_token(0, rate, address_burst_s, now))
    stripe.paces.emplace(address, *next);
  return true;
}

bool Admission::take_pace(uint32_t rate, FullAt now) {
  FullAt full_at = full_at_.load(std::memory_order_relaxed);
  while (true) {
    const std::optional<FullAt> next = take_token(full_at, rate, gate_burst_s, now);
    if (!next) return false;
    if (full_at_.compare_exchange_weak(full_at, *next, std::memory_order_relaxed)) return true;
  }
}

}  // namespace postern::session
