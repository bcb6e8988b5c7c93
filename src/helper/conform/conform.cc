// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/conform/conform.h"

#include <stdio.h>

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
#include "helper/password_input.h"

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

ExitStatus run_checks(const Setup& setup) {
  std::vector<Check> checks;
  for (const std::span<const Check> some : {conform::framing_checks(), conform::login_checks(), conform::user_checks()})
    checks.insert(checks.end(), some.begin(), some.end());
  const size_t skipped = setup.user.empty() ? conform::user_checks().size() : 0;
  printf("1..%zu\n", checks.size());
  size_t failed = 0;
  for (size_t i = 0; i < checks.size(); ++i) {
    if (i >= checks.size() - skipped) {
      printf("ok %zu - %.*s # SKIP needs --user\n", i + 1, static_cast<int>(checks[i].name.size()),
             checks[i].name.data());
      continue;
    }
    Finding finding;
    checks[i].run(setup, finding);
    if (report(i + 1, checks[i], finding)) continue;
    ++failed;
    if (i == 0) {
      printf("Bail out! Nothing else can be tried without a hello.\n");
      return 1;
    }
  }
  printf("# %zu checks, %zu not ok, %zu skipped. See postern-helper(7).\n", checks.size(), failed, skipped);
  return failed == 0 ? 0 : 1;
}

}  // namespace

ExitStatus run_conform(const Arguments& arguments) {
  if (arguments.words.size() != 2 || arguments.user.empty() == arguments.password_stdin) {
    fail("usage: postern-auth conform SOCKET [--user USER --password-stdin] [--timeout SECONDS]");
    return misused;
  }
  const std::optional<Duration> patience = read_patience(arguments.timeout);
  if (!patience) {
    fail("--timeout " + arguments.timeout + " is no number of seconds from 1 to 300.");
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
  return run_checks(setup);
}

}  // namespace postern::helper
