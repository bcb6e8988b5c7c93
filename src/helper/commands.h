// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of postern-auth that do their work and end: user, hash, --check.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/secret.h"

namespace postern::helper {

// An exit status: 0 done, 1 it failed, 2 the command line is wrong. Why is on stderr.
using ExitStatus = int;

// A command line, taken apart.
struct Arguments {
  std::vector<std::string> words;  // what stands without a hyphen: "user", "add", "joe@example.test"
  std::string file;                // -c; empty: the default
  std::string database;            // --database
  std::string scheme;              // --scheme
  std::string protocol;            // --protocol
  std::string client;              // --client
  std::string user, timeout;       // --user, --timeout: of conform
  bool password_stdin = false, ask_password = false;
  bool no_password = false;
  bool check = false;
  bool disable = false, enable = false;
  bool back_password = false, master_password = false;          // to be asked for
  std::vector<std::pair<std::string, std::string>> attributes;  // "back" → "127.0.1.1:143", in order
};

// "add", "set", ... with a user's name where it needs one.
ExitStatus run_user(const Arguments& arguments);
// Asks for a password and prints its hash.
ExitStatus run_hash(const Arguments& arguments);
// Everything that is wrong with the file and its sources.
ExitStatus run_check(const Arguments& arguments);

// What a login of this user would come to, and by which steps.
ExitStatus run_explain(const Arguments& arguments);
// Only whether he would get in: 0 yes, 1 no, 3 nobody can say.
ExitStatus run_test(const Arguments& arguments);

// From standard input with --password-stdin, else from the terminal.
absl::StatusOr<Secret> get_password(const Arguments& arguments, const std::string& prompt);

// Says "postern-auth: text" on stderr and returns 1.
ExitStatus fail(std::string_view text);

}  // namespace postern::helper
