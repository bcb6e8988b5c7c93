// SPDX-License-Identifier: GPL-3.0-or-later
// SqlSource: users in a database with a schema of its own, found by the administrator's query. Here is what all databases
// share: the pool, the order of servers, deadlines, rows as entries. A driver knows one library.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "helper/idle_pool.h"
#include "helper/sources/columns.h"
#include "helper/sources/query.h"
#include "helper/sources/server_order.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct SqlAnswer {
  // More are no user's passwords: the query lacks its WHERE. A table of a million users must not come into memory.
  static constexpr size_t rows_max = 64;
  // Above all that an attribute may hold.
  static constexpr size_t value_size_max = 64 * 1024;

  std::vector<std::string> columns;       // their names, even if there are no rows
  std::vector<std::vector<Column>> rows;  // each with all columns
};

// What is wrong if the answer does not keep to its limits.
absl::Status too_many_rows();
absl::Status value_too_long(const std::string& column);

// What is prepared on each connection.
struct SqlTask {
  std::string statement;
  Duration limit{};  // the server itself gives up then, since nobody waits for the answer any more
};

// A server with the statement prepared on it. Used by one thread at a time.
class SqlConnection {
 public:
  virtual ~SqlConnection() = default;
  // False: the server has hung up meanwhile, so that nobody need try.
  virtual bool is_alive() = 0;
  // `values` are UTF-8 without NUL. NotFoundError: the database's text cannot hold one of them, so nobody is called that.
  // DeadlineExceededError: too late. All other failures are told in the server's words. The connection is good for more
  // questions if there was an answer or a NotFoundError.
  virtual absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values, Instant deadline) = 0;
};

// From any thread, by several at once.
class SqlDriver {
 public:
  virtual ~SqlDriver() = default;
  // For the log, without secrets: "postgresql:mail@db1,db2".
  virtual const std::string& name() const = 0;
  virtual Query::Placeholder placeholder() const = 0;
  // In the order of preference; at least one.
  virtual size_t servers() const = 0;
  virtual absl::StatusOr<std::unique_ptr<SqlConnection>> connect(size_t server, const SqlTask& task,
                                                                 Instant deadline) const = 0;
};

struct SqlOptions {
  std::unique_ptr<SqlDriver> driver;
  Query query;
};

// Keeps as many connections as there were questions at one time. One that breaks while nobody used it (the server was
// restarted) costs no login: the question is asked again on a fresh one.
class SqlSource : public Source {
 public:
  explicit SqlSource(SqlOptions options);

  const std::string& name() const override { return options_.driver->name(); }
  Lookup find(const Asked& asked) override;
  // Nobody tells what changes in the database. Closes connections that nobody has needed for a while.
  Changes poll() override;
  absl::Status check() override;

 private:
  SqlTask task() const;
  absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values);
  absl::StatusOr<std::unique_ptr<SqlConnection>> connect(Instant deadline);
  void check_answer(const SqlAnswer& answer, std::vector<std::string>& faults) const;

  const SqlOptions options_;
  ServerOrder servers_;
  IdlePool<std::unique_ptr<SqlConnection>> idle_;
};

// The setting `query`.
Query read_query(TableReader& reader);

// For drivers.
absl::Status too_late();
// A library's message as one line, without a stop at its end.
std::string one_line(std::string_view message);

}  // namespace postern::helper
