// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/user_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>
#include <optional>
#include <utility>

#include "helper/names.h"

namespace postern::helper {
namespace {

// "PsAu": says what kind of file this is, also to file(1).
constexpr int64_t application_id = 0x50734175;
constexpr int64_t schema_version = 3;
// Of one answer about changes: with more it is cheaper to forget everybody.
constexpr size_t changes_max = 1000;

constexpr const char* schema = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE users (
  user TEXT NOT NULL PRIMARY KEY COLLATE NOCASE CHECK (user <> ''),
  password TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  back TEXT, pool TEXT, back_user TEXT, back_password TEXT, master_user TEXT, master_password TEXT,
  tls TEXT, tls_name TEXT, mechanism TEXT, proxy_protocol TEXT, xclient TEXT,
  ttl INTEGER, sessions_max INTEGER, allow_nets TEXT
);
CREATE TABLE changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user TEXT NOT NULL,
  at INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
);
CREATE INDEX changes_at ON changes (at);
CREATE TRIGGER user_added AFTER INSERT ON users BEGIN
  INSERT INTO changes (user) VALUES (NEW.user);
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
CREATE TRIGGER user_changed AFTER UPDATE ON users BEGIN
  INSERT INTO changes (user) VALUES (OLD.user);
  INSERT INTO changes (user) SELECT NEW.user WHERE NEW.user <> OLD.user;
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
CREATE TRIGGER user_removed AFTER DELETE ON users BEGIN
  INSERT INTO changes (user) VALUES (OLD.user);
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
PRAGMA application_id = 0x50734175;
PRAGMA user_version = 1;
COMMIT;
)sql";

// From each version to the next.
constexpr const char* upgrades[] = {R"sql(
BEGIN IMMEDIATE;
ALTER TABLE users ADD COLUMN back_by_hash TEXT;
ALTER TABLE users ADD COLUMN allow_protocols TEXT;
ALTER TABLE users ADD COLUMN master TEXT;
ALTER TABLE users ADD COLUMN expires TEXT;
ALTER TABLE users ADD COLUMN text TEXT;
ALTER TABLE users ADD COLUMN code TEXT;
PRAGMA user_version = 2;
COMMIT;
)sql",
                                    R"sql(
BEGIN IMMEDIATE;
ALTER TABLE users ADD COLUMN moving_to TEXT;
ALTER TABLE users ADD COLUMN moving_to_tls_name TEXT;
CREATE TABLE app_passwords (
  user TEXT NOT NULL COLLATE NOCASE,
  label TEXT NOT NULL COLLATE NOCASE CHECK (label <> ''),
  password TEXT NOT NULL,
  allow_protocols TEXT, allow_nets TEXT, expires TEXT,
  PRIMARY KEY (user, label)
);
CREATE TRIGGER app_password_of_somebody BEFORE INSERT ON app_passwords
WHEN NOT EXISTS (SELECT 1 FROM users WHERE user = NEW.user) BEGIN
  SELECT RAISE(ABORT, 'there is no such user');
END;
CREATE TRIGGER app_password_added AFTER INSERT ON app_passwords BEGIN
  INSERT INTO changes (user) VALUES (NEW.user);
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
CREATE TRIGGER app_password_changed AFTER UPDATE ON app_passwords BEGIN
  INSERT INTO changes (user) VALUES (OLD.user);
  INSERT INTO changes (user) SELECT NEW.user WHERE NEW.user <> OLD.user;
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
CREATE TRIGGER app_password_removed AFTER DELETE ON app_passwords BEGIN
  INSERT INTO changes (user) VALUES (OLD.user);
  DELETE FROM changes WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - 86400;
END;
CREATE TRIGGER user_takes_app_passwords_along AFTER UPDATE OF user ON users WHEN NEW.user <> OLD.user BEGIN
  UPDATE app_passwords SET user = NEW.user WHERE user = OLD.user;
END;
CREATE TRIGGER user_leaves_no_app_passwords AFTER DELETE ON users BEGIN
  DELETE FROM app_passwords WHERE user = OLD.user;
END;
PRAGMA user_version = 3;
COMMIT;
)sql"};
static_assert(std::size(upgrades) == schema_version - 1);

constexpr const char* app_columns = "user, label, password, allow_protocols, allow_nets, expires";

// "user, password, disabled, back, ...": the columns in the order of read_row() and bind_record().
constexpr int fixed_columns = 3;

std::string columns() {
  std::string text = "user, password, disabled";
  for (const RouteAttribute& attribute : route_attributes())
    text += ", " + std::string(attribute.name);
  return text;
}

std::string placeholders() {
  std::string text = "?1, ?2, ?3";
  for (size_t i = 0; i < route_attributes().size(); ++i)
    text += ", ?" + std::to_string(i + fixed_columns + 1);
  return text;
}

void bind_attribute(Statement& statement, int index, const Route& route, std::string_view name) {
  std::string text = attribute_text(route, name);
  if (text.empty()) {
    statement.bind_null(index);
  } else {
    statement.bind(index, text);
  }
  wipe(text);
}

void bind_record(Statement& statement, const UserRecord& record) {
  statement.reset();
  statement.bind(1, folded(record.user));
  statement.bind(2, record.hash.reveal());
  statement.bind(3, int64_t{record.disabled});
  int index = fixed_columns;
  for (const RouteAttribute& attribute : route_attributes())
    bind_attribute(statement, ++index, record.route, attribute.name);
}

absl::Status with_path(const absl::Status& status, const std::string& path) {
  if (status.ok()) return status;
  return absl::Status(status.code(), path + ": " + std::string(status.message()));
}

// SQLite would make the file for all to read.
absl::Status make_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (descriptor < 0) {
    if (errno == EEXIST) return absl::OkStatus();
    const std::string text = std::string("cannot be made: ") + strerror(errno);
    return errno == ENOENT ? absl::NotFoundError(text) : absl::FailedPreconditionError(text);
  }
  fchmod(descriptor, 0640);
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  struct stat status;
  if (geteuid() == 0 && stat(folder.c_str(), &status) == 0 && fchown(descriptor, status.st_uid, status.st_gid) != 0) {
    const std::string text = std::string("cannot be given to the owner of its folder: ") + strerror(errno);
    close(descriptor);
    return absl::FailedPreconditionError(text);
  }
  close(descriptor);
  return absl::OkStatus();
}

// What is in the file; makes the schema in an empty one, and brings an older one up to date. Another process may do the same at the same time.
absl::Status ensure_schema(Database& database) {
  absl::Status made;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const absl::StatusOr<int64_t> version = database.number("PRAGMA user_version");
    if (!version.ok()) return version.status();
    const absl::StatusOr<int64_t> tables = database.number("SELECT count(*) FROM sqlite_schema");
    if (!tables.ok()) return tables.status();
    if (*version > schema_version) return absl::FailedPreconditionError("was made by a newer postern-auth");
    if (*tables != 0) {
      const absl::StatusOr<int64_t> id = database.number("PRAGMA application_id");
      if (!id.ok() || *id != application_id) {
        return absl::FailedPreconditionError("is a database, but not one of postern-auth");
      }
      if (*version == schema_version) return absl::OkStatus();
      made = database.run(upgrades[*version - 1]);
    } else {
      made = database.run("PRAGMA journal_mode = WAL");
      if (made.ok()) made = database.run(schema);
    }
    if (made.ok()) {
      attempt = -1;  // It may have more versions to go.
      continue;
    }
    // Somebody was quicker, perhaps: the next round will see it.
    static_cast<void>(database.run("ROLLBACK"));
  }
  return made;
}

absl::Status broken_column(std::string_view name, const std::string& whose, const absl::Status& status) {
  return absl::DataLossError("the column " + std::string(name) + " of " + whose + " " + std::string(status.message()));
}

absl::StatusOr<UserRecord> read_record(const Statement& row) {
  UserRecord record;
  record.user = std::string(row.text(0));
  record.hash = Secret(row.text(1));
  record.disabled = row.number(2) != 0;
  int column = fixed_columns;
  for (const RouteAttribute& attribute : route_attributes()) {
    const std::string_view text = row.text(column++);
    const absl::Status status = set_attribute(record.route, attribute.name, text);
    if (!status.ok()) {
      return broken_column(attribute.name, "the user " + record.user, status);
    }
  }
  return record;
}

// A row that has been read would hold its place in the log of the database for ever.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

}  // namespace

absl::StatusOr<UserStore> UserStore::open(const std::string& path, uint32_t busy_ms) {
  if (const absl::Status status = make_file(path); !status.ok()) return with_path(status, path);
  absl::StatusOr<Database> database = Database::open(path, busy_ms);
  if (!database.ok()) return with_path(database.status(), path);
  if (const absl::Status status = ensure_schema(*database); !status.ok()) {
    if (!database->read_only()) return with_path(status, path);
    return absl::FailedPreconditionError(path +
                                         ": was made by an older postern-auth and cannot be written; run "
                                         "`postern-auth user list` once as its owner, which brings it up to date");
  }
  UserStore store(*std::move(database));
  if (const absl::Status status = store.prepare_all(); !status.ok()) return with_path(status, path);
  return store;
}

absl::Status UserStore::prepare_all() {
  std::string assignments = "password = ?2, disabled = ?3";
  int index = fixed_columns;
  for (const RouteAttribute& attribute : route_attributes()) {
    assignments += ", " + std::string(attribute.name) + " = ?" + std::to_string(++index);
  }
  const std::pair<Statement*, std::string> statements[] = {
      {&find_, "SELECT " + columns() + " FROM users WHERE user = ?1"},
      {&add_, "INSERT INTO users (" + columns() + ") VALUES (" + placeholders() + ")"},
      {&update_, "UPDATE users SET " + assignments + " WHERE user = ?1"},
      {&set_password_, "UPDATE users SET password = ?2 WHERE user = ?1"},
      {&replace_password_, "UPDATE users SET password = ?3 WHERE user = ?1 AND password = ?2"},
      {&remove_, "DELETE FROM users WHERE user = ?1"},
      {&list_, "SELECT " + columns() + " FROM users ORDER BY user"},
      {&app_passwords_, std::string("SELECT ") + app_columns + " FROM app_passwords WHERE user = ?1 ORDER BY label"},
      {&all_app_passwords_, std::string("SELECT ") + app_columns + " FROM app_passwords ORDER BY user, label"},
      {&add_app_,
       std::string("INSERT INTO app_passwords (") + app_columns +
           ") SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM app_passwords WHERE user = ?1) < ?7"},
      {&replace_app_, "UPDATE app_passwords SET password = ?3 WHERE user = ?1 AND password = ?2"},
      {&remove_app_, "DELETE FROM app_passwords WHERE user = ?1 AND label = ?2"},
      {&data_version_, "PRAGMA data_version"},
      {&changes_, "SELECT id, user FROM changes WHERE id > ?1 AND at >= ?2 AND id <= ?3 ORDER BY id"},
  };
  for (const auto& [place, sql] : statements) {
    absl::StatusOr<Statement> statement = database_.prepare(sql);
    if (!statement.ok()) return statement.status();
    *place = *std::move(statement);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<UserRecord>> UserStore::find(std::string_view user) {
  const ResetAtEnd reset(find_);
  find_.bind(1, user);
  const absl::StatusOr<bool> row = find_.step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  absl::StatusOr<UserRecord> record = read_record(find_);
  if (!record.ok()) return record.status();
  return *std::move(record);
}

absl::Status UserStore::add(const UserRecord& record) {
  const ResetAtEnd reset(add_);
  bind_record(add_, record);
  return add_.step().status();
}

absl::StatusOr<bool> UserStore::run_change(Statement& statement) {
  const ResetAtEnd reset(statement);
  const absl::StatusOr<bool> row = statement.step();
  if (!row.ok()) return row.status();
  return database_.changed() > 0;
}

absl::StatusOr<bool> UserStore::set_password(std::string_view user, std::string_view hash) {
  set_password_.bind(1, user);
  set_password_.bind(2, hash);
  return run_change(set_password_);
}

absl::StatusOr<bool> UserStore::replace_password(std::string_view user, std::string_view old, std::string_view hash) {
  // A hash has a salt of its own, so that no two passwords of a user have the same.
  for (Statement* statement : {&replace_password_, &replace_app_}) {
    statement->bind(1, user);
    statement->bind(2, old);
    statement->bind(3, hash);
    absl::StatusOr<bool> replaced = run_change(*statement);
    if (!replaced.ok() || *replaced) return replaced;
  }
  return false;
}

absl::StatusOr<bool> UserStore::update(const UserRecord& record) {
  bind_record(update_, record);
  return run_change(update_);
}

absl::StatusOr<bool> UserStore::remove(std::string_view user) {
  remove_.bind(1, user);
  return run_change(remove_);
}

absl::StatusOr<std::vector<UserRecord>> UserStore::list() {
  const ResetAtEnd reset(list_);
  std::vector<UserRecord> records;
  while (true) {
    const absl::StatusOr<bool> row = list_.step();
    if (!row.ok()) return row.status();
    if (!*row) return records;
    absl::StatusOr<UserRecord> record = read_record(list_);
    if (!record.ok()) return record.status();
    records.push_back(*std::move(record));
  }
}

absl::StatusOr<std::vector<AppPassword>> UserStore::read_app_passwords(Statement& statement) {
  const ResetAtEnd reset(statement);
  std::vector<AppPassword> passwords;
  while (true) {
    const absl::StatusOr<bool> row = statement.step();
    if (!row.ok()) return row.status();
    if (!*row) return passwords;
    AppPassword& password = passwords.emplace_back();
    password.user = statement.text(0);
    password.label = statement.text(1);
    password.hash = Secret(statement.text(2));
    int column = 3;
    for (const std::string_view name : app_attributes) {
      const absl::Status status = set_attribute(password.limits, name, statement.text(column++));
      if (!status.ok()) return broken_column(name, password.user + "'s password " + password.label, status);
    }
  }
}

absl::StatusOr<std::vector<AppPassword>> UserStore::app_passwords(std::string_view user) {
  app_passwords_.bind(1, user);
  return read_app_passwords(app_passwords_);
}

absl::StatusOr<std::vector<AppPassword>> UserStore::all_app_passwords() {
  return read_app_passwords(all_app_passwords_);
}

absl::Status UserStore::add_app_password(const AppPassword& password) {
  add_app_.bind(1, folded(password.user));
  add_app_.bind(2, password.label);
  add_app_.bind(3, password.hash.reveal());
  int index = 3;
  for (const std::string_view name : app_attributes)
    bind_attribute(add_app_, ++index, password.limits, name);
  add_app_.bind(7, int64_t{AppPassword::count_max});
  const absl::StatusOr<bool> added = run_change(add_app_);
  if (!added.ok()) return added.status();
  return *added ? absl::OkStatus() : absl::ResourceExhaustedError("there are too many");
}

absl::StatusOr<bool> UserStore::remove_app_password(std::string_view user, std::string_view label) {
  remove_app_.bind(1, user);
  remove_app_.bind(2, label);
  return run_change(remove_app_);
}

absl::StatusOr<int64_t> UserStore::data_version() {
  const ResetAtEnd reset(data_version_);
  const absl::StatusOr<bool> row = data_version_.step();
  if (!row.ok()) return row.status();
  return data_version_.number(0);
}

absl::StatusOr<ChangedUsers> UserStore::changed_after(int64_t id) {
  absl::StatusOr<ChangedUsers> changed = read_changes(id, 0);
  if (!changed.ok()) return changed;
  // The numbers have no holes. Where they have, or go back, rows have aged away or this is another file.
  const auto count = static_cast<int64_t>(changed->users.size());
  if (changed->last_id != id + count) changed->gap = true;
  return changed;
}

absl::StatusOr<ChangedUsers> UserStore::changed_within(int64_t seconds) {
  const absl::StatusOr<int64_t> now = database_.number("SELECT CAST(strftime('%s', 'now') AS INTEGER)");
  if (!now.ok()) return now.status();
  return read_changes(0, *now - seconds);
}

absl::StatusOr<ChangedUsers> UserStore::read_changes(int64_t id, int64_t at) {
  const ResetAtEnd reset(changes_);
  // First the number, then the rows up to it: one that comes in between is for the next time.
  const absl::StatusOr<int64_t> last = database_.number("SELECT seq FROM sqlite_sequence WHERE name = 'changes'");
  if (!last.ok()) return last.status();
  ChangedUsers changed;
  changed.last_id = *last;
  changes_.bind(1, id);
  changes_.bind(2, at);
  changes_.bind(3, *last);
  while (true) {
    const absl::StatusOr<bool> row = changes_.step();
    if (!row.ok()) return row.status();
    if (!*row) return changed;
    if (changed.users.size() == changes_max) {
      changed.gap = true;
      return changed;
    }
    changed.users.emplace_back(changes_.text(1));
  }
}

}  // namespace postern::helper
