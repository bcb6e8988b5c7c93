// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace postern::helper {
namespace {

// Busy and locked pass by themselves; the rest wants a person.
absl::Status failure(sqlite3* database, int code) {
  const std::string text = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  const int kind = code & 0xff;
  if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED) return absl::UnavailableError(text);
  if (kind == SQLITE_INTERRUPT) return absl::DeadlineExceededError(text);
  if (kind == SQLITE_CONSTRAINT) return absl::AlreadyExistsError(text);
  return absl::InternalError(text);
}

// How often the clock is looked at: every thousand steps of SQLite's machine, some ten microseconds.
constexpr int steps_between_looks = 1000;

int is_late(void* deadline) {
  return std::chrono::steady_clock::now() >= *static_cast<const Instant*>(deadline) ? 1 : 0;
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data() != nullptr ? text.data() : "", text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
}

void Statement::bind(int index, int64_t number) {
  sqlite3_bind_int64(statement_, index, number);
}

void Statement::bind_null(int index) {
  sqlite3_bind_null(statement_, index);
}

absl::StatusOr<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failure(database_, code);
}

std::string_view Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Statement::columns() const {
  return sqlite3_column_count(statement_);
}

std::string Statement::column_name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name != nullptr ? name : "";
}

int Statement::parameters() const {
  return sqlite3_bind_parameter_count(statement_);
}

absl::StatusOr<Database> Database::open_as(const std::string& path, int flags) {
  Database database;
  // Each connection has one user at a time, so SQLite's own locks around it would only cost.
  const int code = sqlite3_open_v2(path.c_str(), &database.database_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return failure(database.database_, code);
  return database;
}

absl::StatusOr<Database> Database::open(const std::string& path, uint32_t busy_ms) {
  absl::StatusOr<Database> database = open_as(path, SQLITE_OPEN_READWRITE);
  if (database.ok()) sqlite3_busy_timeout(database->database_, static_cast<int>(busy_ms));
  return database;
}

absl::StatusOr<Database> Database::open_to_read(const std::string& path) {
  return open_as(path, SQLITE_OPEN_READONLY);
}

void Database::set_deadline(Instant deadline) {
  const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now()).count();
  sqlite3_busy_timeout(database_, static_cast<int>(std::clamp<int64_t>(left, 1, 60'000)));
  if (deadline_ == nullptr) deadline_ = std::make_unique<Instant>();
  *deadline_ = deadline;
  sqlite3_progress_handler(database_, steps_between_looks, is_late, deadline_.get());
}

Database::Database(Database&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), deadline_(std::move(other.deadline_)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(deadline_, other.deadline_);
  return *this;
}

Database::~Database() {
  sqlite3_close_v2(database_);
}

absl::Status Database::run(const char* sql) {
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : failure(database_, code);
}

absl::StatusOr<Statement> Database::prepare(std::string_view sql) {
  Statement statement;
  statement.database_ = database_;
  const int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement.statement_, nullptr);
  if (code != SQLITE_OK) return failure(database_, code);
  return statement;
}

absl::StatusOr<int64_t> Database::number(std::string_view sql) {
  absl::StatusOr<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->step();
  if (!row.ok()) return row.status();
  return *row ? statement->number(0) : 0;
}

bool Database::read_only() const {
  return sqlite3_db_readonly(database_, "main") == 1;
}

int64_t Database::changed() const {
  return sqlite3_changes64(database_);
}

}  // namespace postern::helper
