// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/cache.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/secret_buffer.h"

namespace postern::auth {
namespace {

constexpr size_t stripes_max = 16;  // more than reactors on most machines; a lock is held for about a microsecond
constexpr uint32_t one_stripe_below = 1024;  // a share of fewer than 64 entries would make the bound a matter of luck

constexpr NameDigest all_users = UINT64_MAX;  // no name has this digest

// The first byte of what is digested: without it the same bytes could mean two things.
constexpr char of_question = 'q', of_question_and_client = 'c', of_name = 'n';

// Length first, so that no two lists of fields are the same bytes.
void append_field(SecretBuffer& message, std::string_view field) {
  const uint64_t size = field.size();
  message.append(std::string_view(reinterpret_cast<const char*>(&size), sizeof size));
  message.append(field);
}

template <size_t size>
std::string_view view_of(const std::array<uint8_t, size>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

// 17 bytes; the port is not in it.
std::string address_bytes(const Endpoint& endpoint) {
  std::string bytes(1, endpoint.v6 ? '6' : '4');
  bytes.append(view_of(endpoint.address));
  return bytes;
}

std::optional<Verdict> unpack(const Secret& packed) {
  Form form;
  if (form.read(packed.reveal()) != FormFault::None) return std::nullopt;
  Answer answer = read_answer(form, BackPorts{});  // packed backs have their ports
  if (!answer.fault.empty()) return std::nullopt;
  return std::move(answer.verdict);
}

}  // namespace

struct Cache::Stripe {
  struct Found {
    Entry* entry = nullptr;
    bool accepted = false;
  };

  Found find(const Digest& key) {
    if (Entry* entry = accepts->find(key)) return {entry, true};
    return {rejects->find(key), false};
  }

  // The verdict's entry, behind a mark if need be.
  Found find(const CacheKeys& keys) {
    const Found found = find(keys.plain);
    if (found.entry == nullptr || !found.entry->varies) return found;
    return find(keys.with_client);
  }

  void erase(const Digest& key) {
    accepts->erase(key);
    rejects->erase(key);
  }

  void put(const Digest& key, const Names& names, Entry entry, bool accepted) {
    report.evictions += (accepted ? *accepts : *rejects).put(key, names, std::move(entry));
  }

  // Makes the plain key say "look again with the address". The mark of an accepted login lives among the accepted, and
  // stays there when another address is refused: guessing must not push it out.
  void mark(const Digest& key, bool accepted, Instant now) {
    const Entry* found = accepts->find(key);
    if (found != nullptr && found->varies) return;
    found = rejects->find(key);
    if (found != nullptr && found->varies && !accepted) return;
    erase(key);
    put(key, Names{}, Entry{Secret(), now, Duration(0), true}, accepted);
  }

  std::mutex mutex;
  std::unique_ptr<Shelf> accepts, rejects;
  Report report;  // without the sizes
};

Cache::Cache(const CacheOptions& options, KeyedHash hash)
    : options_(options),
      hash_(std::move(hash)),
      stripe_count_(options.entries < one_stripe_below ? 1 : stripes_max),
      stripes_(std::make_unique<Stripe[]>(stripe_count_)) {
  const auto share = [this](uint32_t entries) { return (entries + stripe_count_ - 1) / stripe_count_; };
  for (size_t i = 0; i < stripe_count_; ++i) {
    stripes_[i].accepts = std::make_unique<Shelf>(share(options.entries));
    stripes_[i].rejects = std::make_unique<Shelf>(share(options.reject_entries));
  }
}

Cache::~Cache() = default;

CacheKeys Cache::keys(const Question& question) const {
  SecretBuffer message;
  message.append(of_question);
  for (const std::string_view field :
       {std::string_view(question.protocol), std::string_view(question.listener), std::string_view(question.mechanism),
        std::string_view(question.user), std::string_view(question.authzid), question.password.reveal(),
        std::string_view(question.tls), std::string_view(question.sni),
        std::string_view(question.kind == Question::Kind::Scram ? "scram" : ""),
        std::string_view(question.certificate.fingerprint)}) {
    append_field(message, field);
  }
  append_field(message, address_bytes(question.local));
  append_field(message, std::to_string(question.local.port));
  CacheKeys keys;
  keys.plain = digest(message.reveal());
  std::string with_client(1, of_question_and_client);
  with_client.append(view_of(keys.plain.bytes)).append(address_bytes(question.client));
  keys.with_client = digest(with_client);
  keys.names[0] = name_digest(question.user);
  if (!question.authzid.empty()) keys.names[1] = name_digest(question.authzid);
  return keys;
}

std::optional<Verdict> Cache::fresh(const CacheKeys& keys, Instant now) {
  Secret packed;
  {
    Stripe& stripe = stripe_of(keys);
    const std::lock_guard lock(stripe.mutex);
    const Stripe::Found found = stripe.find(keys);
    if (found.entry == nullptr || now >= found.entry->stored_at + found.entry->ttl) {
      ++stripe.report.misses;
      return std::nullopt;
    }
    ++stripe.report.hits;
    if (!found.accepted) ++stripe.report.reject_hits;
    packed = found.entry->packed.clone();
  }
  return unpack(packed);
}

std::optional<Verdict> Cache::stale(const CacheKeys& keys, Instant now) {
  Secret packed;
  {
    Stripe& stripe = stripe_of(keys);
    const std::lock_guard lock(stripe.mutex);
    const Stripe::Found found = stripe.find(keys);
    if (found.entry == nullptr || !found.accepted) return std::nullopt;
    const Instant good_until = found.entry->stored_at + found.entry->ttl + std::min(options_.stale, ttl_max);
    if (now >= good_until) return std::nullopt;
    ++stripe.report.stale;
    packed = found.entry->packed.clone();
  }
  return unpack(packed);
}

void Cache::keep(const CacheKeys& keys, const Verdict& verdict, const Keeping& keeping, uint64_t asked, Instant now) {
  if (std::holds_alternative<NotNow>(verdict)) return;
  const bool accepted = std::holds_alternative<Accept>(verdict);
  const Names names = names_of(keys, verdict);
  Entry entry{pack(verdict), now, ttl_of(verdict, keeping), false};

  Stripe& stripe = stripe_of(keys);
  const std::lock_guard lock(stripe.mutex);
  // Looked at under the stripe's lock: an invalidation that comes later than this look finds the entry in the stripe.
  if (named_since(asked, names)) return;
  // What was there is out of date even if this answer may not be kept.
  stripe.erase(keys.with_client);
  const Stripe::Found plain = stripe.find(keys.plain);
  if (plain.entry != nullptr && !(keeping.vary_client && plain.entry->varies)) stripe.erase(keys.plain);
  if (!keeping.store || entry.ttl <= Duration(0) || entry.packed.empty()) return;
  if (keeping.vary_client) stripe.mark(keys.plain, accepted, now);
  stripe.put(keeping.vary_client ? keys.with_client : keys.plain, names, std::move(entry), accepted);
}

void Cache::invalidate(std::string_view user) {
  const NameDigest name = user == "*" ? all_users : name_digest(user);
  {
    const std::lock_guard lock(recent_mutex_);
    const uint64_t next = epoch_.load() + 1;
    recent_[next % recent_max] = name;
    epoch_.store(next);
  }
  for (size_t i = 0; i < stripe_count_; ++i) {
    Stripe& stripe = stripes_[i];
    const std::lock_guard lock(stripe.mutex);
    for (Shelf* shelf : {stripe.accepts.get(), stripe.rejects.get()}) {
      stripe.report.invalidated += name == all_users ? shelf->clear() : shelf->erase_named(name);
    }
  }
}

size_t Cache::entries_of(std::string_view user) const {
  const NameDigest name = name_digest(user);
  size_t count = 0;
  for (size_t i = 0; i < stripe_count_; ++i) {
    const std::lock_guard lock(stripes_[i].mutex);
    count += stripes_[i].accepts->count_named(name) + stripes_[i].rejects->count_named(name);
  }
  return count;
}

bool Cache::invalidated_since(uint64_t asked, const CacheKeys& keys) const {
  return named_since(asked, keys.names);
}

Cache::Report Cache::report() const {
  Report sum;
  for (size_t i = 0; i < stripe_count_; ++i) {
    Stripe& stripe = stripes_[i];
    const std::lock_guard lock(stripe.mutex);
    sum.hits += stripe.report.hits;
    sum.reject_hits += stripe.report.reject_hits;
    sum.misses += stripe.report.misses;
    sum.stale += stripe.report.stale;
    sum.evictions += stripe.report.evictions;
    sum.invalidated += stripe.report.invalidated;
    sum.entries += stripe.accepts->size();
    sum.reject_entries += stripe.rejects->size();
  }
  return sum;
}

Cache::Stripe& Cache::stripe_of(const CacheKeys& keys) const {
  return stripes_[keys.plain.bytes[15] % stripe_count_];
}

Digest Cache::digest(std::string_view message) const {
  const std::array<uint8_t, 32> hash = hash_(message);
  Digest digest;
  std::copy_n(hash.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

NameDigest Cache::name_digest(std::string_view name) const {
  std::string message(1, of_name);
  for (const char c : name)
    message += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  NameDigest number = 0;
  memcpy(&number, digest(message).bytes.data(), sizeof number);
  return number == 0 || number == all_users ? 1 : number;
}

Cache::Names Cache::names_of(const CacheKeys& keys, const Verdict& verdict) const {
  Names names{keys.names[0], keys.names[1], 0};
  const Accept* accept = std::get_if<Accept>(&verdict);
  if (accept != nullptr && !accept->route.user.empty()) names[2] = name_digest(accept->route.user);
  return names;
}

bool Cache::named_since(uint64_t asked, std::span<const NameDigest> names) const {
  if (epoch_.load() == asked) return false;
  const std::lock_guard lock(recent_mutex_);
  const uint64_t now = epoch_.load();
  if (now - asked > recent_max) return true;
  for (uint64_t epoch = asked + 1; epoch <= now; ++epoch) {
    const NameDigest name = recent_[epoch % recent_max];
    if (name == all_users || std::find(names.begin(), names.end(), name) != names.end()) return true;
  }
  return false;
}

Duration Cache::ttl_of(const Verdict& verdict, const Keeping& keeping) const {
  if (std::holds_alternative<Accept>(verdict)) return std::min(keeping.ttl.value_or(options_.ttl), ttl_max);
  return std::min(keeping.ttl.value_or(options_.reject_ttl), reject_reuse_max);
}

}  // namespace postern::auth
