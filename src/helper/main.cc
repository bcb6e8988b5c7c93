// SPDX-License-Identifier: GPL-3.0-or-later
// postern-auth: the helper that Postern ships. See postern-auth(8).
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/words.h"
#include "helper/commands.h"
#include "helper/conform/conform.h"
#include "helper/daemon.h"
#include "helper/options.h"
#include "helper/sources/pam_worker.h"

namespace postern::helper {
namespace {

constexpr ExitStatus misused = 2;

constexpr const char* usage =
    "usage: postern-auth [-c FILE]                       answer the mail gate's questions\n"
    "       postern-auth --check [-c FILE]               say what is wrong with the configuration and its sources\n"
    "       postern-auth user add USER [OPTION ...]      in the embedded database: a new user\n"
    "       postern-auth user set USER OPTION ...        ... another route, or --disable, or --enable\n"
    "       postern-auth user passwd|del|show USER       ... a new password; gone; what is known\n"
    "       postern-auth user list                       ... everybody\n"
    "       postern-auth user app-add USER LABEL         ... another password, for one of his programs: made and "
    "printed,\n"
    "                                                    or with --ask-password or --password-stdin yours;\n"
    "                                                    --allow-protocols, --allow-nets and --expires limit it\n"
    "       postern-auth user app-del USER LABEL         ... without it\n"
    "       postern-auth user app-list [USER]            ... which there are\n"
    "       postern-auth hash [--scheme SCHEME]   asks for a password and prints its hash\n"
    "       postern-auth explain USER [--protocol imap|pop3|submission|sieve] [--client ADDRESS] [--no-password]\n"
    "                                                    what each source says of a login, and where it would go\n"
    "       postern-auth test USER [...]                 ... only whether it succeeds\n"
    "       postern-auth conform SOCKET [CHECK ...] [--user USER --password-stdin] [--timeout SECONDS]\n"
    "                                                    try a helper of your own\n"
    "Options of user: -c FILE, --database FILE, --scheme SCHEME, --password-stdin, --back ADDRESS:PORT (again for a\n"
    "second one), --pool NAME, --back-user NAME, --back-password, --master-user NAME, --master-password, --tls none|\n"
    "starttls|implicit, --tls-name NAME, --mechanism LOGIN|PLAIN, --proxy-protocol v1|v2, --xclient no|yes,\n"
    "--ttl SECONDS, --sessions-max NUMBER, --allow-nets NETWORK/BITS. See postern-auth(8).\n";

struct Flag {
  std::string_view name;
  bool Arguments::*place;
};
constexpr Flag flags[] = {
    {"--check", &Arguments::check},
    {"--password-stdin", &Arguments::password_stdin},
    {"--ask-password", &Arguments::ask_password},
    {"--no-password", &Arguments::no_password},
    {"--disable", &Arguments::disable},
    {"--enable", &Arguments::enable},
    {"--back-password", &Arguments::back_password},
    {"--master-password", &Arguments::master_password},
};

struct Setting {
  std::string_view name;
  std::string Arguments::*place;
};
constexpr Setting settings[] = {
    {"-c", &Arguments::file},         {"--config", &Arguments::file},       {"--database", &Arguments::database},
    {"--scheme", &Arguments::scheme}, {"--protocol", &Arguments::protocol}, {"--client", &Arguments::client},
    {"--user", &Arguments::user},     {"--timeout", &Arguments::timeout},
};

// "--back-user" is the attribute back_user. Empty: not one that may stand in an argument list.
std::string attribute_of(std::string_view option) {
  if (!option.starts_with("--")) return "";
  std::string name(option.substr(2));
  std::replace(name.begin(), name.end(), '-', '_');
  for (const RouteAttribute& attribute : route_attributes()) {
    if (attribute.name == name && !attribute.secret) return name;
  }
  return "";
}

std::string unknown_option(std::string_view option) {
  std::vector<std::string> names;
  for (const Flag& flag : flags)
    names.emplace_back(flag.name);
  for (const Setting& setting : settings)
    names.emplace_back(setting.name);
  for (const RouteAttribute& attribute : route_attributes()) {
    if (attribute.secret) continue;
    std::string name = "--" + std::string(attribute.name);
    std::replace(name.begin(), name.end(), '_', '-');
    names.push_back(std::move(name));
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view meant = config::nearest(option, views);
  return "there is no option " + std::string(option) +
         (meant.empty() ? ". See postern-auth --help." : "; did you mean " + std::string(meant) + "?");
}

// What is wrong with the command line; empty if nothing is.
std::string take_option(std::string_view option, std::optional<std::string_view> glued, int& index, int count,
                        char** words, Arguments& arguments) {
  for (const Flag& flag : flags) {
    if (flag.name != option) continue;
    // A password in an argument list is known to everybody on the machine.
    if (glued) return std::string(option) + " takes no value.";
    arguments.*flag.place = true;
    return "";
  }
  const auto* setting = std::find_if(std::begin(settings), std::end(settings),
                                     [&](const Setting& known) { return known.name == option; });
  std::string attribute = setting == std::end(settings) ? attribute_of(option) : "";
  if (setting == std::end(settings) && attribute.empty()) return unknown_option(option);
  if (!glued && index + 1 == count) return std::string(option) + " needs a value.";
  std::string value(glued ? *glued : words[++index]);
  if (setting == std::end(settings)) {
    arguments.attributes.emplace_back(std::move(attribute), std::move(value));
    return "";
  }
  if (value.empty()) return std::string(option) + " needs a value.";
  arguments.*setting->place = std::move(value);
  return "";
}

// What is wrong with the command line; empty if nothing is.
std::string take_all(int count, char** words, Arguments& arguments) {
  for (int i = 1; i < count; ++i) {
    std::string_view word = words[i];
    if (!word.starts_with('-') || word == "-") {
      arguments.words.emplace_back(word);
      continue;
    }
    std::optional<std::string_view> glued;
    if (const size_t equals = word.find('='); word.starts_with("--") && equals != word.npos) {
      glued = word.substr(equals + 1);
      word = word.substr(0, equals);
    }
    std::string wrong = take_option(word, glued, i, count, words, arguments);
    if (!wrong.empty()) return wrong;
  }
  if (!arguments.scheme.empty() && !parse_scheme(arguments.scheme)) {
    return "--scheme " + arguments.scheme + " is none of " + scheme_words() + ".";
  }
  if (arguments.disable && arguments.enable) return "--disable and --enable exclude each other.";
  if (arguments.ask_password && arguments.password_stdin) {
    return "--ask-password and --password-stdin exclude each other.";
  }
  if (!arguments.file.empty() && !arguments.database.empty()) return "-c and --database exclude each other.";
  return "";
}

ExitStatus run_daemon(const Arguments& arguments) {
  const std::string file = arguments.file.empty() ? default_file : arguments.file;
  ReadResult read = read_options(file);
  for (const std::string& problem : read.problems)
    fail(problem);
  if (!read.problems.empty()) return 1;
  Daemon daemon(std::move(read.options), file);
  const absl::Status status = daemon.run();
  return status.ok() ? 0 : fail(std::string(status.message()));
}

ExitStatus run(int count, char** words) {
  const std::string_view first = count > 1 ? words[1] : "";
  if (first == "--help" || first == "-h") return printf("%s", usage) > 0 ? 0 : 1;
  if (first == "--version") return printf("postern-auth %s\n", POSTERN_VERSION) > 0 ? 0 : 1;
  if (first == pam_worker_word && count == 4) return run_pam_worker(words[2], words[3]);
  Arguments arguments;
  if (const std::string wrong = take_all(count, words, arguments); !wrong.empty()) {
    fail(wrong);
    return misused;
  }
  const std::string word = arguments.words.empty() ? "" : arguments.words[0];
  if (word == "user") return run_user(arguments);
  if (word == "explain" && arguments.words.size() == 2) return run_explain(arguments);
  if (word == "test" && arguments.words.size() == 2) return run_test(arguments);
  if (word == "conform") return run_conform(arguments);
  if (word == "hash" && arguments.words.size() == 1) return run_hash(arguments);
  if (!word.empty()) {
    fputs(usage, stderr);
    return misused;
  }
  return arguments.check ? run_check(arguments) : run_daemon(arguments);
}

}  // namespace
}  // namespace postern::helper

int main(int count, char** words) {
  return postern::helper::run(count, words);
}
