// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace postern::session {
namespace {

// A member that is back gets this part of its weight at first, and all of it at the end of `slow_start`.
constexpr double slow_start_share = 0.1;

double weight_now(const MemberView& member, Duration slow_start, Instant now) {
  const double weight = member.weight;
  if (slow_start <= Duration::zero() || member.up_since == Instant::min()) return weight;
  const double share = std::chrono::duration<double>(now - member.up_since) / std::chrono::duration<double>(slow_start);
  return weight * std::clamp(share, slow_start_share, 1.0);
}

uint64_t mixed(uint64_t bits) {
  // A finaliser that spreads every input bit over all output bits.
  bits ^= bits >> 33;
  bits *= 0xff51afd7ed558ccdULL;
  bits ^= bits >> 33;
  bits *= 0xc4ceb9fe1a85ec53ULL;
  return bits ^ bits >> 33;
}

// The same in every process and after every start, so that a user comes back to the member that has his mail in its
// caches. Not a secret: users may choose their member, and gain nothing by it.
uint64_t stable_hash(std::string_view text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mixed(hash);
}

// Rendezvous hashing: each user ranks the members by himself, so a member that comes or goes moves only its own users.
double rank(const MemberView& member, std::string_view user) {
  const uint64_t hash = stable_hash(user, stable_hash(member.endpoint.text(), 0));
  // In (0, 1]; the weighted form of the method.
  const double unit = (static_cast<double>(hash >> 11) + 1) / 9007199254740993.0;
  return -std::log(unit) / static_cast<double>(std::max<uint32_t>(member.weight, 1));
}

}  // namespace

std::vector<Endpoint> choose_order(const PoolOptions& pool, const PoolView& view, const BackHealth& health,
                                   const Counts& counts, std::string_view user, Instant now) {
  // What is smaller comes first.
  std::vector<std::pair<double, const MemberView*>> ranked;
  for (const MemberView& member : view.members) {
    double place = 0;
    if (pool.balance == Balance::LeastSessions) {
      place = (counts.of(member.endpoint) + 1) / weight_now(member, pool.slow_start, now);
    } else if (pool.balance == Balance::UserHash) {
      place = rank(member, user);
    }
    ranked.emplace_back(place, &member);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  std::stable_partition(ranked.begin(), ranked.end(), [&](const auto& entry) {
    return !entry.second->down && !health.is_down(entry.second->endpoint, now);
  });
  std::vector<Endpoint> order;
  for (const auto& [place, member] : ranked)
    order.push_back(member->endpoint);
  return order;
}

}  // namespace postern::session
