// SPDX-License-Identifier: GPL-3.0-or-later
// KeyRing: the keys of an issuer of tokens, from a file or a URL, kept until they are too old or lack one.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "helper/curl.h"
#include "helper/sources/jwt.h"

namespace postern::helper {

struct KeyPlace {
  std::string file;  // a JWKS on this machine; empty: from the web
  WebPlace web;
};

// From any thread; one fetches, and those who need what it brings wait for it.
class KeyRing {
 public:
  // `clock`: what says how old the keys are.
  explicit KeyRing(KeyPlace place, std::function<Instant()> clock = std::chrono::steady_clock::now)
      : place_(std::move(place)), clock_(std::move(clock)) {}

  // Shared, because a question may still use the old ones when new ones have come.
  using Keys = std::shared_ptr<const JwtKeys>;

  // Those that are at hand, or fetched within the time if there are none. A Status says why there are none.
  absl::StatusOr<Keys> keys(Duration timeout);
  // The same for somebody to whom `known` do not suffice: newer ones, if the last look was a minute ago; `known`
  // themselves if they have just been fetched; a Status if nobody can say whether there are newer ones.
  absl::StatusOr<Keys> newer_keys(const Keys& known, Duration timeout);
  // Now.
  absl::StatusOr<Keys> fetch(Duration timeout);

 private:
  absl::StatusOr<std::string> read(Duration timeout);

  const KeyPlace place_;
  const std::function<Instant()> clock_;
  CurlPool pool_;
  std::timed_mutex fetching_;
  std::mutex lock_;
  Keys keys_;
  Instant looked_{}, fetched_{};
  std::string why_not_;  // what became of the last look; empty: it was good
};

}  // namespace postern::helper
