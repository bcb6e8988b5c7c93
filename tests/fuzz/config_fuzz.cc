// SPDX-License-Identifier: GPL-3.0-or-later
// A configuration from anybody's hand. Whatever it holds: either there is a Config that keeps its promises or there are
// problems, never both; each problem is a printable line about a line that exists; and loading is repeatable.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "config/config.h"
#include "expect.h"

namespace {

using postern::config::Config;
using postern::config::LoadResult;
using postern::config::Problem;

void check_problems(const std::vector<Problem>& problems, std::string_view text) {
  const auto lines = static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  EXPECT_OR_DIE(problems.size() <= LoadResult::problems_max);
  uint32_t previous = 0;
  for (const Problem& problem : problems) {
    EXPECT_OR_DIE(problem.file == "f");
    EXPECT_OR_DIE(problem.line >= previous && problem.line <= lines);
    EXPECT_OR_DIE(!problem.text.empty());
    EXPECT_OR_DIE(std::all_of(problem.text.begin(), problem.text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    previous = problem.line;
  }
}

void check_config(const Config& config) {
  EXPECT_OR_DIE(!config.session.listeners.empty());
  std::set<std::string> names;
  for (const auto& listener : config.session.listeners) {
    EXPECT_OR_DIE(names.insert(listener.name).second);
    EXPECT_OR_DIE(!listener.addresses.empty());
    EXPECT_OR_DIE(listener.tls == postern::session::FrontTls::None || !config.tls.certificates.empty());
    EXPECT_OR_DIE(listener.tls != postern::session::FrontTls::None || listener.login_without_tls);
    EXPECT_OR_DIE(!listener.proxy_protocol || !listener.trusted.empty());
  }
  names.clear();
  const bool has_helper = config.auth.mode == postern::auth::Mode::Helper;
  for (const auto& pool : config.session.pools) {
    EXPECT_OR_DIE(!pool.name.empty() && names.insert(pool.name).second);
    EXPECT_OR_DIE(!pool.members.empty() || (has_helper && pool.name == "default"));
  }
  for (const auto& listener : config.session.listeners)
    EXPECT_OR_DIE(names.contains(listener.pool));
  for (const auto& certificate : config.tls.certificates) {
    EXPECT_OR_DIE(certificate.chain.starts_with('/') && certificate.key.starts_with('/'));
  }
  // It goes into greetings.
  EXPECT_OR_DIE(config.session.hostname.find_first_of("\r\n ") == std::string::npos);
  EXPECT_OR_DIE(config.auth.timeout.count() > 0 && config.session.limits.idle_timeout.count() > 0);
  EXPECT_OR_DIE(config.session.limits.line_size >= 1024 && config.session.limits.line_size <= 65536);
}

std::string all_of(const LoadResult& result) {
  std::string text;
  for (const Problem& problem : result.problems)
    text += problem.sentence() + "\n";
  for (const Problem& problem : result.warnings)
    text += problem.sentence() + "\n";
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const LoadResult result = postern::config::load_text(text, "f");
  EXPECT_OR_DIE(result.config.has_value() == result.problems.empty());
  check_problems(result.problems, text);
  check_problems(result.warnings, text);
  if (result.config) check_config(*result.config);
  EXPECT_OR_DIE(all_of(postern::config::load_text(text, "f")) == all_of(result));
  return 0;
}
