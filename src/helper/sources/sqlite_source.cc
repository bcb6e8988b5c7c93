// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/sqlite_source.h"

#include <sys/stat.h>

#include <utility>

#include "helper/log.h"

namespace postern::helper {
namespace {

// How far back a gate may have missed a change: longer than it keeps entries.
constexpr int64_t recent_s = 3600;
// A login waits for its better hash no longer than that on another program's lock; the next login tries again.
constexpr uint32_t upgrade_busy_ms = 100;

static_assert(1 + AppPassword::count_max <= entries_max, "all of a user's passwords are looked at");

// What holds of the user holds of his programs.
Entry entry_of_program(const Entry& own, AppPassword&& password) {
  Entry entry;
  entry.hash = std::move(password.hash);
  entry.disabled = own.disabled;
  entry.route = own.route.clone();
  // Others' mailboxes are no program's business.
  entry.route.master = POSTERN_NO;
  entry.label = std::move(password.label);
  entry.limits = std::move(password.limits);
  return entry;
}

Changes to_changes(ChangedUsers&& changed) {
  return changed.gap ? Changes{.all = true, .users = {}} : Changes{.all = false, .users = std::move(changed.users)};
}

}  // namespace

SqliteSource::SqliteSource(SqliteOptions options)
    : options_(std::move(options)), name_("sqlite:" + options_.database) {}

SqliteSource::FileId SqliteSource::current_file() const {
  struct stat status;
  if (stat(options_.database.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

absl::StatusOr<std::unique_ptr<SqliteSource::Connection>> SqliteSource::take() {
  const FileId file = current_file();
  {
    const std::lock_guard guard(lock_);
    while (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->file == file) return connection;
    }
  }
  absl::StatusOr<UserStore> store = UserStore::open(options_.database, options_.busy_timeout_ms);
  if (!store.ok()) return store.status();
  // The file may have been made only now.
  return std::make_unique<Connection>(Connection{current_file(), *std::move(store)});
}

void SqliteSource::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard guard(lock_);
  idle_.push_back(std::move(connection));
}

Lookup SqliteSource::find(const Asked& asked) {
  absl::StatusOr<std::unique_ptr<Connection>> connection = take();
  if (!connection.ok()) return SourceFailure{std::string(connection.status().message())};
  UserStore& store = (*connection)->store;
  absl::StatusOr<std::optional<UserRecord>> record = store.find(asked.user);
  absl::StatusOr<std::vector<AppPassword>> others = std::vector<AppPassword>();
  if (record.ok() && record->has_value()) others = store.app_passwords(asked.user);
  for (const absl::Status& status : {record.status(), others.status()}) {
    if (status.ok()) continue;
    // A broken entry says nothing against its connection; any other failure does.
    if (absl::IsDataLoss(status)) give_back(*std::move(connection));
    return SourceFailure{options_.database + ": " + std::string(status.message())};
  }
  give_back(*std::move(connection));
  if (!*record) return UnknownUser{};
  UserRecord& found = **record;
  if (const absl::Status status = check_route(found.route); !status.ok()) {
    return SourceFailure{options_.database + ": the user " + found.user + ": " + std::string(status.message())};
  }
  Entry entry;
  entry.hash = std::move(found.hash);
  entry.disabled = found.disabled;
  entry.route = std::move(found.route);
  Entries entries = one_entry(std::move(entry));
  for (AppPassword& password : *others)
    entries.push_back(entry_of_program(entries.front(), std::move(password)));
  return entries;
}

SqliteSource::Connection* SqliteSource::watch() {
  if (watch_ != nullptr && watch_->file == current_file()) return watch_.get();
  lost_sight_ = lost_sight_ || watch_ != nullptr;
  watch_ = nullptr;
  absl::StatusOr<std::unique_ptr<Connection>> connection = take();
  if (!connection.ok()) return nullptr;
  const absl::StatusOr<ChangedUsers> now = (*connection)->store.changed_within(0);
  const absl::StatusOr<int64_t> version = (*connection)->store.data_version();
  if (!now.ok() || !version.ok()) return nullptr;
  seen_id_ = now->last_id;
  seen_version_ = *version;
  watch_ = *std::move(connection);
  return watch_.get();
}

Changes SqliteSource::poll() {
  Connection* connection = watch();
  if (connection == nullptr) return {};
  if (std::exchange(lost_sight_, false)) return {.all = true, .users = {}};
  const absl::StatusOr<int64_t> version = connection->store.data_version();
  if (version.ok() && *version == seen_version_) return {};
  absl::StatusOr<ChangedUsers> changed = connection->store.changed_after(seen_id_);
  if (!version.ok() || !changed.ok()) {
    watch_ = nullptr;
    lost_sight_ = true;
    return {};
  }
  seen_version_ = *version;
  seen_id_ = changed->last_id;
  return to_changes(*std::move(changed));
}

Changes SqliteSource::recent() {
  Connection* connection = watch();
  if (connection == nullptr) return {.all = true, .users = {}};
  absl::StatusOr<ChangedUsers> changed = connection->store.changed_within(recent_s);
  if (!changed.ok()) return {.all = true, .users = {}};
  return to_changes(*std::move(changed));
}

void SqliteSource::upgrade(const std::string& user, const Secret& old, Secret fresh) {
  const auto log = [&](Severity severity, std::string_view text) {
    write_log(LogLine(severity, "upgrade").add("user", user).add("source", name_).say(text));
  };
  absl::StatusOr<UserStore> store = UserStore::open(options_.database, upgrade_busy_ms);
  if (store.ok() && store->read_only()) return;
  const absl::StatusOr<bool> kept =
      store.ok() ? store->replace_password(user, old.reveal(), fresh.reveal()) : absl::StatusOr<bool>(store.status());
  if (!kept.ok())
    return log(Severity::Warning, "The new hash cannot be stored: " + std::string(kept.status().message()));
  // Not kept: the password was changed meanwhile, or another login was quicker.
  if (*kept) log(Severity::Notice, "The password is stored in the configured scheme now.");
}

absl::Status SqliteSource::check() {
  absl::StatusOr<std::unique_ptr<Connection>> connection = take();
  if (!connection.ok()) return connection.status();
  absl::Status status = (*connection)->store.list().status();
  if (status.ok()) status = (*connection)->store.all_app_passwords().status();
  give_back(*std::move(connection));
  return status.ok() ? status : absl::Status(status.code(), options_.database + ": " + std::string(status.message()));
}

}  // namespace postern::helper
