// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/commands.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "helper/daemon.h"
#include "helper/names.h"
#include "helper/options.h"
#include "helper/passwords/password_input.h"
#include "helper/passwords/passwords.h"
#include "helper/sources/user_store.h"

namespace postern::helper {
namespace {

constexpr ExitStatus done = 0;
constexpr ExitStatus misused = 2;
// A command that a person waits for can wait a little longer than a login.
constexpr uint32_t busy_timeout_ms = 10000;

std::string text_of(const absl::Status& status) {
  return std::string(status.message());
}

// Where the users are, and what new passwords are hashed with.
struct Place {
  std::string database;
  Scheme scheme = Scheme::Yescrypt;
};

absl::StatusOr<Place> place_from_file(const std::string& file) {
  const ReadResult read = read_options(file);
  if (!read.problems.empty()) {
    std::string text;
    for (const std::string& problem : read.problems)
      text += (text.empty() ? "" : "\n") + problem;
    return absl::InvalidArgumentError(text);
  }
  Place place;
  place.scheme = read.options.passwords.scheme;
  for (const SourceSetting& source : read.options.sources) {
    const auto* sqlite = std::get_if<SqliteOptions>(&source.options);
    if (sqlite == nullptr) continue;
    if (!place.database.empty()) {
      return absl::InvalidArgumentError(file +
                                        " has several sources of the type sqlite. Say which one with --database.");
    }
    place.database = sqlite->database;
  }
  if (place.database.empty()) return absl::InvalidArgumentError(file + " has no source of the type sqlite.");
  return place;
}

absl::StatusOr<Place> find_place(const Arguments& arguments) {
  absl::StatusOr<Place> place = Place{arguments.database, Scheme::Yescrypt};
  if (!arguments.file.empty()) {
    place = place_from_file(arguments.file);
  } else if (arguments.database.empty()) {
    // A machine that was only just set up may do without a configuration.
    place = access(default_file, F_OK) == 0 ? place_from_file(default_file)
                                            : Place{SqliteOptions{}.database, Scheme::Yescrypt};
  }
  if (!place.ok() || arguments.scheme.empty()) return place;
  place->scheme = *parse_scheme(arguments.scheme);
  return place;
}

// The record with what the command line says of it.
absl::Status apply(const Arguments& arguments, UserRecord& record) {
  const auto is_given = [&](std::string_view name) {
    return std::any_of(arguments.attributes.begin(), arguments.attributes.end(),
                       [&](const auto& given) { return given.first == name; });
  };
  // Who gives a new place means it instead of the old one.
  if (is_given("pool") && !is_given("back")) record.route.backs.clear();
  if (is_given("back") && !is_given("pool")) record.route.pool.clear();
  std::string backs;
  for (const auto& [name, value] : arguments.attributes) {
    std::string text = value;
    if (name == "back") text = backs += (backs.empty() ? "" : ",") + value;
    const absl::Status status = set_attribute(record.route, name, text);
    if (!status.ok()) return absl::InvalidArgumentError("--" + name + " " + value + " " + text_of(status) + ".");
  }
  if (arguments.disable) record.disabled = true;
  if (arguments.enable) record.disabled = false;
  const std::pair<bool, const char*> secrets[] = {{arguments.back_password, "back_password"},
                                                  {arguments.master_password, "master_password"}};
  for (const auto& [wanted, name] : secrets) {
    if (!wanted) continue;
    const absl::StatusOr<Secret> secret = get_password(arguments, name);
    if (!secret.ok()) return secret.status();
    if (const absl::Status status = set_attribute(record.route, name, secret->reveal()); !status.ok()) return status;
  }
  const absl::Status status = check_route(record.route);
  return status.ok() ? status : absl::InvalidArgumentError(text_of(status) + ".");
}

absl::StatusOr<Secret> hash_of(const Secret& password, Scheme scheme) {
  absl::StatusOr<std::string> hash = Passwords::hash(scheme, password.reveal());
  if (!hash.ok()) return hash.status();
  return Secret::take(*hash);
}

absl::StatusOr<Secret> new_hash(const Arguments& arguments, Scheme scheme, const std::string& user) {
  const absl::StatusOr<Secret> password = get_password(arguments, "Password of " + user);
  return password.ok() ? hash_of(*password, scheme) : password.status();
}

ExitStatus nobody(const std::string& user, const Place& place) {
  return fail(place.database + ": there is no user " + user + ".");
}

// One command on an open database.
struct Command {
  const Arguments& arguments;
  const Place& place;
  UserStore& store;
  std::string user;   // folded
  std::string label;  // of an application password
};

ExitStatus add_user(const Command& command) {
  absl::StatusOr<std::optional<UserRecord>> there = command.store.find(command.user);
  if (there.ok() && there->has_value()) {
    return fail("the user " + command.user + " exists. Change the password with `passwd`, all else with `set`.");
  }
  UserRecord record;
  record.user = command.user;
  absl::StatusOr<Secret> hash = new_hash(command.arguments, command.place.scheme, command.user);
  if (!hash.ok()) return fail(text_of(hash.status()));
  record.hash = *std::move(hash);
  if (const absl::Status status = apply(command.arguments, record); !status.ok()) return fail(text_of(status));
  const absl::Status status = command.store.add(record);
  return status.ok() ? done : fail(command.place.database + ": " + text_of(status));
}

ExitStatus set_user(const Command& command) {
  absl::StatusOr<std::optional<UserRecord>> record = command.store.find(command.user);
  if (!record.ok()) return fail(command.place.database + ": " + text_of(record.status()));
  if (!record->has_value()) return nobody(command.user, command.place);
  if (const absl::Status status = apply(command.arguments, **record); !status.ok()) return fail(text_of(status));
  const absl::StatusOr<bool> changed = command.store.update(**record);
  if (!changed.ok()) return fail(command.place.database + ": " + text_of(changed.status()));
  return *changed ? done : nobody(command.user, command.place);
}

ExitStatus change_password(const Command& command) {
  // Asked first, so that nobody types a password twice for a user who is not there.
  const absl::StatusOr<std::optional<UserRecord>> there = command.store.find(command.user);
  if (there.ok() && !there->has_value()) return nobody(command.user, command.place);
  const absl::StatusOr<Secret> hash = new_hash(command.arguments, command.place.scheme, command.user);
  if (!hash.ok()) return fail(text_of(hash.status()));
  const absl::StatusOr<bool> changed = command.store.set_password(command.user, hash->reveal());
  if (!changed.ok()) return fail(command.place.database + ": " + text_of(changed.status()));
  return *changed ? done : nobody(command.user, command.place);
}

ExitStatus delete_user(const Command& command) {
  const absl::StatusOr<bool> removed = command.store.remove(command.user);
  if (!removed.ok()) return fail(command.place.database + ": " + text_of(removed.status()));
  return *removed ? done : nobody(command.user, command.place);
}

// What may be shown of a hash: "{CRYPT}$y$", "{PLAIN}", "$6$".
std::string kind_of(std::string_view hash) {
  const size_t brace = hash.starts_with('{') ? hash.find('}') + 1 : 0;
  const size_t dollar = hash.substr(brace).starts_with('$') ? hash.find('$', brace + 1) : std::string_view::npos;
  if (dollar != hash.npos) return std::string(hash.substr(0, dollar + 1));
  return brace != 0 ? std::string(hash.substr(0, brace)) : "unmarked";
}

// "allow_protocols=imap", ..., each behind `before`.
std::string limits_of(const AppPassword& password, std::string_view before) {
  std::string line;
  for (const std::string_view name : app_attributes) {
    const std::string text = attribute_text(password.limits, name);
    if (!text.empty()) line += std::string(before) + std::string(name) + "=" + text;
  }
  return line;
}

ExitStatus show_user(const Command& command) {
  const absl::StatusOr<std::optional<UserRecord>> found = command.store.find(command.user);
  if (!found.ok()) return fail(command.place.database + ": " + text_of(found.status()));
  if (!found->has_value()) return nobody(command.user, command.place);
  const UserRecord& record = **found;
  printf("user = %s\npassword = %s...\ndisabled = %s\n", record.user.c_str(), kind_of(record.hash.reveal()).c_str(),
         record.disabled ? "yes" : "no");
  for (const RouteAttribute& attribute : route_attributes()) {
    std::string text = attribute_text(record.route, attribute.name);
    if (text.empty()) continue;
    printf("%s = %s\n", std::string(attribute.name).c_str(), attribute.secret ? "(set)" : text.c_str());
    wipe(text);
  }
  const absl::StatusOr<std::vector<AppPassword>> passwords = command.store.app_passwords(command.user);
  if (!passwords.ok()) return fail(command.place.database + ": " + text_of(passwords.status()));
  for (const AppPassword& password : *passwords)
    printf("application password = %s%s\n", password.label.c_str(), limits_of(password, " ").c_str());
  return done;
}

absl::Status apply_limits(const Arguments& arguments, Route& limits) {
  for (const auto& [name, value] : arguments.attributes) {
    if (std::find(std::begin(app_attributes), std::end(app_attributes), name) == std::end(app_attributes)) {
      return absl::InvalidArgumentError(name +
                                        " is the user's and no password's own; change it with `set`. A password has "
                                        "--allow-protocols, --allow-nets and --expires.");
    }
    const absl::Status status = set_attribute(limits, name, value);
    if (!status.ok()) return absl::InvalidArgumentError("the " + name + " " + value + " " + text_of(status) + ".");
  }
  return absl::OkStatus();
}

ExitStatus add_app_password(const Command& command) {
  const Arguments& arguments = command.arguments;
  AppPassword added{command.user, command.label, Secret(), Route()};
  if (const absl::Status status = apply_limits(arguments, added.limits); !status.ok()) return fail(text_of(status));
  const absl::StatusOr<std::optional<UserRecord>> there = command.store.find(command.user);
  if (there.ok() && !there->has_value()) return nobody(command.user, command.place);
  const bool is_made = !arguments.password_stdin && !arguments.ask_password;
  const absl::StatusOr<Secret> password =
      is_made ? Passwords::make_password()
              : get_password(arguments, "Password " + command.label + " of " + command.user);
  if (!password.ok()) return fail(text_of(password.status()));
  absl::StatusOr<Secret> hash = hash_of(*password, command.place.scheme);
  if (!hash.ok()) return fail(text_of(hash.status()));
  added.hash = *std::move(hash);
  const absl::Status status = command.store.add_app_password(added);
  if (absl::IsAlreadyExists(status)) {
    return fail("the user " + command.user + " has a password " + command.label +
                ". Give this one another label, or take that one away with `app-del` first.");
  }
  if (absl::IsResourceExhausted(status)) {
    return fail("the user " + command.user + " has " + std::to_string(AppPassword::count_max) +
                " application passwords, and a login looks at no more. Take one away with `app-del` first.");
  }
  if (!status.ok()) return fail(command.place.database + ": " + text_of(status));
  if (!is_made) return done;
  const std::string_view shown = password->reveal();
  printf("%.*s\n", static_cast<int>(shown.size()), shown.data());
  return fflush(stdout) == 0
             ? done
             : fail("the password could not be printed, and nobody can read it again. Take it away with `app-del`.");
}

ExitStatus delete_app_password(const Command& command) {
  const absl::StatusOr<bool> removed = command.store.remove_app_password(command.user, command.label);
  if (!removed.ok()) return fail(command.place.database + ": " + text_of(removed.status()));
  if (*removed) return done;
  return fail(command.place.database + ": the user " + command.user + " has no password " + command.label +
              ". `app-list` says which there are.");
}

ExitStatus list_app_passwords(const Command& command) {
  const absl::StatusOr<std::vector<AppPassword>> passwords =
      command.user.empty() ? command.store.all_app_passwords() : command.store.app_passwords(command.user);
  if (!passwords.ok()) return fail(command.place.database + ": " + text_of(passwords.status()));
  for (const AppPassword& password : *passwords) {
    puts((password.user + "\t" + password.label + "\t" + kind_of(password.hash.reveal()) + limits_of(password, "\t"))
             .c_str());
  }
  return done;
}

ExitStatus list_users(const Command& command) {
  const absl::StatusOr<std::vector<UserRecord>> records = command.store.list();
  if (!records.ok()) return fail(command.place.database + ": " + text_of(records.status()));
  for (const UserRecord& record : *records) {
    std::string line = record.user + (record.disabled ? "\tdisabled" : "\tenabled");
    line += "\t" + kind_of(record.hash.reveal());
    for (const RouteAttribute& attribute : route_attributes()) {
      if (attribute.secret) continue;
      const std::string text = attribute_text(record.route, attribute.name);
      if (!text.empty()) line += "\t" + std::string(attribute.name) + "=" + text;
    }
    puts(line.c_str());
  }
  return done;
}

struct CommandEntry {
  std::string_view word;
  size_t names_min, names_max;  // that follow: a user's, a label
  ExitStatus (*run)(const Command&);
};

constexpr CommandEntry commands[] = {
    {"add", 1, 1, add_user},
    {"set", 1, 1, set_user},
    {"passwd", 1, 1, change_password},
    {"del", 1, 1, delete_user},
    {"show", 1, 1, show_user},
    {"list", 0, 0, list_users},
    {"app-add", 2, 2, add_app_password},
    {"app-del", 2, 2, delete_app_password},
    {"app-list", 0, 1, list_app_passwords},
};

}  // namespace

absl::StatusOr<Secret> get_password(const Arguments& arguments, const std::string& prompt) {
  return arguments.password_stdin ? read_password_line() : ask_password(prompt);
}

ExitStatus fail(std::string_view text) {
  fprintf(stderr, "postern-auth: %.*s\n", static_cast<int>(text.size()), text.data());
  return 1;
}

ExitStatus run_user(const Arguments& arguments) {
  const std::string word = arguments.words.size() > 1 ? arguments.words[1] : "";
  const auto* entry = std::find_if(std::begin(commands), std::end(commands),
                                   [&](const CommandEntry& known) { return known.word == word; });
  const size_t names = arguments.words.size() < 2 ? 0 : arguments.words.size() - 2;
  if (entry == std::end(commands) || names < entry->names_min || names > entry->names_max) {
    fail(
        "usage: postern-auth user add|set|passwd|del|show USER, user list, user app-add|app-del USER LABEL, or user "
        "app-list [USER]");
    return misused;
  }
  std::string user = names > 0 ? folded(arguments.words[2]) : "";
  if (names > 0 && !is_user_name(user)) {
    fail("this is no name for a user: it is empty, \"*\", too long or holds control characters.");
    return misused;
  }
  std::string label = names > 1 ? arguments.words[3] : "";
  if (names > 1 && (!is_user_name(label) || label.size() > AppPassword::label_size_max)) {
    fail("this is no label: it is empty, \"*\", longer than 64 bytes or holds control characters.");
    return misused;
  }
  const absl::StatusOr<Place> place = find_place(arguments);
  if (!place.ok()) return fail(text_of(place.status()));
  absl::StatusOr<UserStore> store = UserStore::open(place->database, busy_timeout_ms);
  if (!store.ok()) return fail(text_of(store.status()) + ".");
  return entry->run({arguments, *place, *store, std::move(user), std::move(label)});
}

ExitStatus run_hash(const Arguments& arguments) {
  const Scheme scheme = arguments.scheme.empty() ? Scheme::Yescrypt : *parse_scheme(arguments.scheme);
  const absl::StatusOr<Secret> password = get_password(arguments, "Password");
  if (!password.ok()) return fail(text_of(password.status()));
  const absl::StatusOr<std::string> hash = Passwords::hash(scheme, password->reveal());
  if (!hash.ok()) return fail(text_of(hash.status()));
  puts(hash->c_str());
  return done;
}

ExitStatus run_check(const Arguments& arguments) {
  const std::string file = arguments.file.empty() ? default_file : arguments.file;
  ReadResult read = read_options(file);
  for (const std::string& problem : read.problems)
    fail(problem);
  if (!read.problems.empty()) return 1;
  ExitStatus status = done;
  for (const auto& source : make_sources(std::move(read.options.sources))) {
    const absl::Status checked = source->check();
    if (!checked.ok()) status = fail(source->title() + ": " + text_of(checked));
    for (const std::string& sentence : source->advice())
      fail("warning: " + source->title() + ": " + sentence);
  }
  if (status == done) printf("%s: good.\n", file.c_str());
  return status;
}

}  // namespace postern::helper
