// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/conform/conform.h"

#include <stdio.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "helper/conform/checks.h"
#include "helper/passwords/password_input.h"

namespace postern::helper {
namespace {

using conform::Check;
using conform::Finding;
using conform::Setup;

constexpr ExitStatus misused = 2;
// What the gate waits for an answer by default.
constexpr Duration patience_default = std::chrono::seconds(5);
// The gate's own limit of its `timeout`, in seconds.
constexpr int64_t patience_max_s = 300;

std::optional<Duration> read_patience(const std::string& text) {
  if (text.empty()) return patience_default;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (seconds < 1 || seconds > patience_max_s) return std::nullopt;
  return std::chrono::seconds(seconds);
}

// Long enough that it turns up nowhere by chance, so that a helper that repeats it is found out.
Secret make_noise() {
  std::random_device dice;
  std::string text = absl::StrCat("noise-", absl::Hex(dice(), absl::kZeroPad8), absl::Hex(dice(), absl::kZeroPad8));
  return Secret::take(text);
}

// One line that TAP readers understand too. False: not ok.
bool report(size_t number, const Check& check, const Finding& finding) {
  const bool good = finding.fault.empty();
  printf("%s %zu - %.*s: %.*s.", good ? "ok" : "not ok", number, static_cast<int>(check.name.size()), check.name.data(),
         static_cast<int>(check.rule.size()), check.rule.data());
  if (!good) printf(" | found: %s", finding.fault.c_str());
  printf(" | sent: %s | came: %s\n", finding.sent.text().c_str(), finding.came.text().c_str());
  fflush(stdout);
  return good;
}

struct Chosen {
  Check check;
  bool needs_user = false;
};

// Those that are named, or all; in their own order.
std::vector<Chosen> choose(std::span<const std::string> names) {
  std::vector<Chosen> chosen;
  const auto add = [&](std::span<const Check> checks, bool needs_user) {
    for (const Check& check : checks) {
      if (names.empty() || std::find(names.begin(), names.end(), check.name) != names.end()) {
        chosen.push_back({check, needs_user});
      }
    }
  };
  add(conform::framing_checks(), false);
  add(conform::login_checks(), false);
  add(conform::user_checks(), true);
  return chosen;
}

ExitStatus run_checks(const Setup& setup, std::span<const Chosen> chosen) {
  printf("1..%zu\n", chosen.size());
  size_t number = 0, failed = 0, skipped = 0;
  for (const auto& [check, needs_user] : chosen) {
    ++number;
    if (needs_user && setup.user.empty()) {
      printf("ok %zu - %.*s # SKIP needs --user\n", number, static_cast<int>(check.name.size()), check.name.data());
      ++skipped;
      continue;
    }
    Finding finding;
    check.run(setup, finding);
    if (report(number, check, finding)) continue;
    ++failed;
    if (check.name == "hello") {
      printf("Bail out! Nothing else can be tried without a hello.\n");
      return 1;
    }
  }
  printf("# %zu checks, %zu not ok, %zu skipped. See postern-helper(7).\n", chosen.size(), failed, skipped);
  return failed == 0 ? 0 : 1;
}

}  // namespace

ExitStatus run_conform(const Arguments& arguments) {
  if (arguments.words.size() < 2 || arguments.user.empty() == arguments.password_stdin) {
    fail("usage: postern-auth conform SOCKET [CHECK ...] [--user USER --password-stdin] [--timeout SECONDS]");
    return misused;
  }
  const std::optional<Duration> patience = read_patience(arguments.timeout);
  if (!patience) {
    fail("--timeout " + arguments.timeout + " is no number of seconds from 1 to 300.");
    return misused;
  }
  const std::span<const std::string> names = std::span(arguments.words).subspan(2);
  const std::vector<Chosen> chosen = choose(names);
  if (!names.empty() && chosen.size() != names.size()) {
    fail("one of these is no check, or is there twice. postern-helper(7) lists them.");
    return misused;
  }
  Setup setup{.socket = arguments.words[1],
              .patience = *patience,
              .user = arguments.user,
              .password = {},
              .noise = make_noise()};
  if (!setup.user.empty()) {
    absl::StatusOr<Secret> password = read_password_line();
    if (!password.ok()) return fail(std::string(password.status().message()));
    if (password->empty()) return fail("the password is empty, and an empty one is always wrong.");
    setup.password = *std::move(password);
  }
  return run_checks(setup, chosen);
}

}  // namespace postern::helper
