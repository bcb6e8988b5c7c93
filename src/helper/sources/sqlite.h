// SPDX-License-Identifier: GPL-3.0-or-later
// SQLite, as little of it as is needed: a database, statements with bound parameters, failures as absl::Status. The only
// file that knows sqlite3.h is its .cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

struct sqlite3;
struct sqlite3_stmt;

namespace postern::helper {

class Database;

// A prepared statement; lives no longer than its database.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Begins anew: nothing is bound, no row is there.
  void reset();
  // Parameters count from 1. The text is copied. A Null is what an absent value is stored as.
  void bind(int index, std::string_view text);
  void bind(int index, int64_t number);
  void bind_null(int index);
  // True: there is a row. False: there are no more.
  absl::StatusOr<bool> step();
  // Of the current row; columns count from 0. Null gives an empty text and 0. Valid until the next step() or reset().
  std::string_view text(int column) const;
  int64_t number(int column) const;
  bool is_null(int column) const;
  // Known as soon as it is prepared; 0: it gives no rows.
  int columns() const;
  std::string column_name(int column) const;
  int parameters() const;

 private:
  friend class Database;

  sqlite3* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

// One connection; used by one thread at a time.
class Database {
 public:
  // Opens an existing file. `busy_ms`: how long to wait for another program's lock before giving up.
  static absl::StatusOr<Database> open(const std::string& path, uint32_t busy_ms);
  // The same for a file that others write.
  static absl::StatusOr<Database> open_to_read(const std::string& path);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // One or several statements of ours, without parameters and results.
  absl::Status run(const char* sql);
  absl::StatusOr<Statement> prepare(std::string_view sql);
  // The first column of the first row of a statement of ours; 0 if there is none.
  absl::StatusOr<int64_t> number(std::string_view sql);
  // Rows that the last INSERT, UPDATE or DELETE has changed, triggers not counted.
  int64_t changed() const;
  // The file could only be opened for reading.
  bool read_only() const;
  // Statements that are not done by then fail with a DeadlineExceededError, and locks are waited for no longer.
  void set_deadline(Instant deadline);

 private:
  Database() = default;
  static absl::StatusOr<Database> open_as(const std::string& path, int flags);

  sqlite3* database_ = nullptr;
  std::unique_ptr<Instant> deadline_;  // the library keeps its address
};

}  // namespace postern::helper
