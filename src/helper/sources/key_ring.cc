// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/key_ring.h"

#include <utility>

#include "config/files.h"

namespace postern::helper {
namespace {

using std::chrono::steady_clock;

// Anybody can make a token with an unknown key's name: it shall not cost the issuer more than this.
constexpr auto look_interval = std::chrono::minutes(1);
// A key that the issuer has withdrawn is good for so much longer.
constexpr auto age_max = std::chrono::hours(1);
// Each of the keys has a few hundred bytes, a certificate chain with it a few thousand.
constexpr size_t jwks_size_max = 256 * 1024;

}  // namespace

absl::StatusOr<KeyRing::Keys> KeyRing::keys(Duration timeout) {
  Keys known;
  {
    const std::lock_guard guard(lock_);
    const Instant now = clock_();
    // An issuer that is away does not take the keys with it.
    if (keys_ != nullptr && (now - fetched_ < age_max || now - looked_ < look_interval)) return keys_;
    known = keys_;
  }
  absl::StatusOr<Keys> fresh = fetch(timeout);
  return fresh.ok() || known == nullptr ? fresh : known;
}

absl::StatusOr<KeyRing::Keys> KeyRing::newer_keys(const Keys& known, Duration timeout) {
  {
    const std::lock_guard guard(lock_);
    if (keys_ != known) return keys_;
    if (clock_() - looked_ < look_interval) {
      return why_not_.empty() ? absl::StatusOr<Keys>(keys_) : absl::UnavailableError(why_not_);
    }
  }
  return fetch(timeout);
}

absl::StatusOr<KeyRing::Keys> KeyRing::fetch(Duration timeout) {
  const Instant asked = clock_();
  const Instant deadline = steady_clock::now() + timeout;
  const std::unique_lock turn(fetching_, deadline);
  if (!turn.owns_lock()) return absl::DeadlineExceededError("the keys did not come in time");
  {
    const std::lock_guard guard(lock_);
    // Somebody else has fetched them meanwhile.
    if (keys_ != nullptr && fetched_ > asked) return keys_;
    looked_ = clock_();
  }
  const absl::StatusOr<std::string> text = read(std::chrono::duration_cast<Duration>(deadline - steady_clock::now()));
  absl::StatusOr<JwtKeys> parsed = text.ok() ? JwtKeys::parse(*text) : absl::StatusOr<JwtKeys>(text.status());
  const std::lock_guard guard(lock_);
  why_not_ = parsed.ok() ? ""
                         : "the keys at " + (place_.file.empty() ? place_.web.url : place_.file) + ": " +
                               std::string(parsed.status().message());
  if (!parsed.ok()) return absl::UnavailableError(why_not_);
  keys_ = std::make_shared<const JwtKeys>(*std::move(parsed));
  fetched_ = clock_();
  return keys_;
}

absl::StatusOr<std::string> KeyRing::read(Duration timeout) {
  if (!place_.file.empty()) {
    config::FileText contents = config::read_file(place_.file, jwks_size_max);
    if (!contents.fault.empty()) return absl::UnavailableError(contents.fault);
    return std::move(contents.bytes);
  }
  if (timeout <= Duration(0)) return absl::DeadlineExceededError("they did not come in time");
  CurlHandle curl = pool_.take();
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory for a question");
  CurlBody body{.bytes = {}, .size_max = jwks_size_max};
  set_rules_of_house(curl.get(), timeout);
  set_web_place(curl.get(), place_.web);
  collect_body(curl.get(), body);
  const absl::StatusOr<long> status = answer_code(pool_, std::move(curl));
  if (!status.ok()) return status.status();
  if (*status != 200) return absl::UnavailableError("the web server answers " + std::to_string(*status));
  return std::string(body.bytes.reveal());
}

}  // namespace postern::helper
