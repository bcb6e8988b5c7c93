// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/sqlite_query.h"

#include <sys/stat.h>

#include <optional>
#include <utility>

#include "helper/sources/sqlite.h"

namespace postern::helper {
namespace {

// Which file stands at a path: a backup that was put back is another one.
std::pair<dev_t, ino_t> file_at(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

// `head`: "query: ", or what else is wrong then.
absl::Status failure_with(const std::string& head, const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return too_late();
  return absl::Status(status.code(), head + one_line(std::string(status.message())));
}

class SqliteQueryConnection : public SqlConnection {
 public:
  SqliteQueryConnection(std::string path, Database database)
      : path_(std::move(path)), file_(file_at(path_)), database_(std::move(database)) {}

  absl::Status prepare(const std::string& statement) {
    absl::StatusOr<Statement> prepared = database_.prepare(statement);
    if (!prepared.ok()) return failure_with("query: ", prepared.status());
    statement_ = *std::move(prepared);
    return statement_.columns() != 0 ? absl::OkStatus()
                                     : absl::FailedPreconditionError("query: it gives no rows; it must be a SELECT");
  }

  bool is_alive() override { return file_at(path_) == file_; }

  absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values, Instant deadline) override {
    if (static_cast<size_t>(statement_.parameters()) != values.size()) {
      return absl::FailedPreconditionError("query: it has a parameter of its own; write %{user} and the like instead");
    }
    database_.set_deadline(deadline);
    statement_.reset();
    for (size_t i = 0; i < values.size(); ++i)
      statement_.bind(static_cast<int>(i) + 1, values[i]);
    SqlAnswer answer;
    for (int i = 0; i < statement_.columns(); ++i)
      answer.columns.push_back(statement_.column_name(i));
    absl::StatusOr<bool> row = false;
    for (row = statement_.step(); row.ok() && *row; row = statement_.step()) {
      if (const absl::Status status = take_row(answer); !status.ok()) return status;
    }
    // An open statement would keep the file locked.
    statement_.reset();
    if (!row.ok()) return failure_with("query: ", row.status());
    return answer;
  }

 private:
  absl::Status take_row(SqlAnswer& answer) const {
    if (answer.rows.size() == SqlAnswer::rows_max) return too_many_rows();
    std::vector<Column> row;
    for (int i = 0; i < statement_.columns(); ++i) {
      const std::string_view value = statement_.text(i);
      const std::string& name = answer.columns[static_cast<size_t>(i)];
      if (value.size() > SqlAnswer::value_size_max) return value_too_long(name);
      row.push_back({name, Secret(value), statement_.is_null(i)});
    }
    answer.rows.push_back(std::move(row));
    return absl::OkStatus();
  }

  const std::string path_;
  const std::pair<dev_t, ino_t> file_;
  Database database_;
  Statement statement_;
};

class SqliteQueryDriver : public SqlDriver {
 public:
  explicit SqliteQueryDriver(std::string path) : path_(std::move(path)), name_("sqlite:" + path_) {}

  const std::string& name() const override { return name_; }
  Query::Placeholder placeholder() const override { return Query::Placeholder::QuestionMark; }
  size_t servers() const override { return 1; }

  absl::StatusOr<std::unique_ptr<SqlConnection>> connect(size_t, const SqlTask& task, Instant deadline) const override {
    absl::StatusOr<Database> database = Database::open_to_read(path_);
    if (!database.ok()) return failure_with(path_ + ": ", database.status());
    database->set_deadline(deadline);
    auto made = std::make_unique<SqliteQueryConnection>(path_, *std::move(database));
    if (const absl::Status status = made->prepare(task.statement); !status.ok()) return status;
    return made;
  }

 private:
  const std::string path_;
  const std::string name_;
};

}  // namespace

SqlOptions read_sqlite_query(TableReader& reader) {
  std::string path;
  reader.path("database", path);
  if (reader.take("database") == nullptr) reader.missing("database", "database = \"/var/lib/mail/accounts.db\"");
  if (const config::Value* busy = reader.take("busy_timeout")) {
    reader.wrong(*busy, "busy_timeout", "is for a database without a query; here timeout is the limit of all waiting");
  }
  return {std::make_unique<SqliteQueryDriver>(std::move(path)), read_query(reader)};
}

}  // namespace postern::helper
