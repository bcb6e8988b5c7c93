// SPDX-License-Identifier: GPL-3.0-or-later
// The configuration of postern-auth: postern-auth.toml in, one checked Options out, or all that is wrong with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "helper/guessing/options.h"
#include "helper/names.h"
#include "helper/passwords/passwords.h"
#include "helper/sources/dovecot_source.h"
#include "helper/sources/http_source.h"
#include "helper/sources/ldap_source.h"
#include "helper/sources/login_source.h"
#include "helper/sources/oauth2_source.h"
#include "helper/sources/pam_source.h"
#include "helper/sources/passwd_file.h"
#include "helper/sources/sql_source.h"
#include "helper/sources/sqlite_source.h"
#include "helper/sources/static_source.h"

namespace postern::helper {

inline constexpr const char* default_file = "/etc/postern/postern-auth.toml";

// One for each type of source; source_types.cc knows them all.
using SourceOptions = std::variant<SqliteOptions, PasswdFileOptions, StaticOptions, SqlOptions, LdapOptions, PamOptions,
                                   HttpOptions, DovecotOptions, LoginOptions, OAuth2Options>;

struct SourceSetting {
  SourceOptions options;
  SourceRules rules;
};

struct Options {
  std::string socket = "/run/postern/auth.sock";
  mode_t socket_mode = 0660;  // whoever may connect may try passwords
  std::string socket_group;   // empty: the process's own
  uint32_t workers = 0;       // threads that look up and hash; 0: enough for all sources to be busy at once
  uint32_t queue = 10000;     // questions that wait for a worker; further ones are answered "unavailable"
  Duration question_timeout = std::chrono::seconds(5);  // one that has waited longer is not looked at: the gate gave up
  Duration reject_delay = std::chrono::seconds(2);      // the gate tells the mail program so much later
  Passwords::Options passwords;
  GuessingOptions guessing;
  NameRules names;
  std::vector<SourceSetting> sources;  // in the order of asking; never empty after reading
};

struct ReadResult {
  Options options;                    // complete only if there are no problems
  std::vector<std::string> problems;  // "postern-auth.toml:7: [[source]] has no setting ...", in the order of the file
};

// The sources of these settings, none of them opened yet.
std::vector<std::unique_ptr<Source>> make_sources(std::vector<SourceSetting> sources);

// Reads and checks the file. Does not open its sources.
ReadResult read_options(const std::string& file);

// The same for text at hand; `name` stands for the file in problems.
ReadResult parse_options(std::string_view text, std::string_view name);

}  // namespace postern::helper
