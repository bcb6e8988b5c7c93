// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/sql_source.h"

#include <openssl/asn1.h>

#include <algorithm>
#include <utility>

#include "config/words.h"

namespace postern::helper {
namespace {

// Firewalls forget a silent connection after some minutes, without a word. A fresh one costs a few milliseconds.
constexpr Duration idle_max = std::chrono::seconds(60);
// A server that did not answer is tried after the others for so long.
constexpr Duration avoid = std::chrono::seconds(10);
constexpr const char* nobody = "nobody.of.this.name@postern-check.invalid";

Instant now() {
  return std::chrono::steady_clock::now();
}

// Databases refuse other bytes, and their libraries take a NUL for the end.
bool is_utf8_text(std::string_view text) {
  while (!text.empty()) {
    unsigned long value = 0;
    const int size = UTF8_getc(reinterpret_cast<const unsigned char*>(text.data()),
                               static_cast<int>(std::min<size_t>(text.size(), 8)), &value);
    if (size <= 0 || value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return false;
    text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

}  // namespace

absl::Status too_many_rows() {
  return absl::FailedPreconditionError("the query gives more than " + std::to_string(SqlAnswer::rows_max) +
                                       " rows for one user; narrow its WHERE");
}

absl::Status value_too_long(const std::string& column) {
  return absl::FailedPreconditionError("column " + column + " holds more than " +
                                       std::to_string(SqlAnswer::value_size_max) + " bytes");
}

absl::Status too_late() {
  return absl::DeadlineExceededError("did not answer in time");
}

std::string one_line(std::string_view message) {
  std::string line;
  for (const char c : message) {
    if (c != '\n') {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (line.ends_with(' ') || line.ends_with('.'))
    line.pop_back();
  return line;
}

Query read_query(TableReader& reader) {
  const config::Value* said = reader.take("query");
  std::string text;
  reader.text("query", text);
  if (said == nullptr) reader.missing("query", "query = \"SELECT password, back FROM users WHERE name = %{user}\"");
  if (text.empty()) return {};
  absl::StatusOr<Query> query = Query::parse_sql(text);
  if (query.ok()) return *std::move(query);
  reader.wrong(*said, "query", std::string(query.status().message()));
  return {};
}

SqlSource::SqlSource(SqlOptions options)
    : options_(std::move(options)), servers_(options_.driver->servers(), avoid), idle_(idle_max) {}

SqlTask SqlSource::task() const {
  return {options_.query.statement(options_.driver->placeholder()), rules().turnstile.timeout};
}

Lookup SqlSource::find(const Asked& asked) {
  const std::vector<std::string> values = options_.query.values(options_.driver->placeholder(), asked);
  if (!std::all_of(values.begin(), values.end(), is_utf8_text)) return UnknownUser{};
  const absl::StatusOr<SqlAnswer> answer = ask(values);
  if (absl::IsNotFound(answer.status())) return UnknownUser{};
  if (!answer.ok()) return SourceFailure{std::string(answer.status().message())};
  Entries entries;
  for (const std::vector<Column>& row : answer->rows) {
    absl::StatusOr<Entry> entry = entry_of(row);
    if (!entry.ok()) {
      return SourceFailure{"row " + std::to_string(entries.size() + 1) + " of " + asked.user + ": " +
                           std::string(entry.status().message())};
    }
    entries.push_back(*std::move(entry));
  }
  if (entries.empty()) return UnknownUser{};
  return entries;
}

absl::StatusOr<SqlAnswer> SqlSource::ask(const std::vector<std::string>& values) {
  const Instant deadline = now() + rules().turnstile.timeout;
  const auto ask_on = [&](std::unique_ptr<SqlConnection> connection) {
    absl::StatusOr<SqlAnswer> answer = connection->ask(values, deadline);
    if (answer.ok() || absl::IsNotFound(answer.status())) idle_.give_back(std::move(connection));
    return answer;
  };
  if (std::unique_ptr<SqlConnection> idle = idle_.take([](const auto& one) { return one->is_alive(); })) {
    absl::StatusOr<SqlAnswer> answer = ask_on(std::move(idle));
    if (answer.ok() || absl::IsNotFound(answer.status())) return answer;
    // What broke it, or makes it hang, has done the same to those beside it.
    idle_.clear();
    if (absl::IsDeadlineExceeded(answer.status())) return answer;
  }
  absl::StatusOr<std::unique_ptr<SqlConnection>> fresh = connect(deadline);
  if (!fresh.ok()) return fresh.status();
  return ask_on(*std::move(fresh));
}

Changes SqlSource::poll() {
  idle_.end_old();
  return {};
}

absl::StatusOr<std::unique_ptr<SqlConnection>> SqlSource::connect(Instant deadline) {
  const std::vector<size_t> order = servers_.now();
  std::string faults;
  for (size_t i = 0; i < order.size(); ++i) {
    const Instant until = ServerOrder::share(deadline, order.size() - i);
    absl::StatusOr<std::unique_ptr<SqlConnection>> connection = options_.driver->connect(order[i], task(), until);
    if (connection.ok()) return connection;
    faults += (faults.empty() ? "" : "; ") + std::string(connection.status().message());
    servers_.failed(order[i]);
  }
  return absl::UnavailableError(faults);
}

absl::Status SqlSource::check() {
  const postern_question question = question_of_nobody();
  const std::vector<std::string> values =
      options_.query.values(options_.driver->placeholder(), Asked(question, nobody));
  std::vector<std::string> faults;
  bool looked_at = false;
  for (size_t server = 0; server < options_.driver->servers(); ++server) {
    const Instant deadline = now() + rules().turnstile.timeout;
    absl::StatusOr<std::unique_ptr<SqlConnection>> connection = options_.driver->connect(server, task(), deadline);
    const absl::StatusOr<SqlAnswer> answer =
        connection.ok() ? (*connection)->ask(values, deadline) : absl::StatusOr<SqlAnswer>(connection.status());
    if (!answer.ok()) {
      faults.push_back(std::string(answer.status().message()) + ".");
    } else if (!std::exchange(looked_at, true)) {
      check_answer(*answer, faults);
    }
  }
  std::string text;
  for (const std::string& fault : faults)
    text += (text.empty() ? "" : "\n") + fault;
  return faults.empty() ? absl::OkStatus() : absl::FailedPreconditionError(text);
}

void SqlSource::check_answer(const SqlAnswer& answer, std::vector<std::string>& faults) const {
  std::vector<Column> columns;
  for (const std::string& name : answer.columns)
    columns.push_back({name, Secret(), true});
  const std::vector<std::string_view> known = known_columns();
  for (const std::string& name : unused(columns)) {
    const std::string_view meant = config::nearest(name, known);
    faults.push_back("query: the column " + config::quoted(name) + " means nothing here; " +
                     (meant.empty() ? "rename it with AS, or take it out of the query."
                                    : "did you mean " + config::quoted(meant) + "?"));
  }
  const absl::StatusOr<Entry> entry = entry_of(columns);
  if (entry.ok() && !entry->has_hash && !rules().only_route && !rules().check_at_back) {
    faults.push_back(
        "query: there is no column \"password\", so nobody can log in; write SELECT ... AS password, or set check = "
        "\"back\" where the mail server verifies, or role = \"route\".");
  }
  if (!answer.rows.empty()) {
    faults.push_back("query: it gives " + std::to_string(answer.rows.size()) + " rows for " + nobody +
                     ", whom nobody knows; write WHERE ... = %{user}.");
  }
}

}  // namespace postern::helper
