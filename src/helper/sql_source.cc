// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sql_source.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <poll.h>

#include <algorithm>
#include <limits>
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

bool wait_for(int socket, short events, Instant deadline, short* ready) {
  pollfd entry{socket, events, 0};
  for (;;) {
    // Rounded up, so that the last millisecond is not spent in a busy loop.
    const auto left = std::chrono::ceil<Duration>(deadline - now()).count();
    if (left <= 0) return false;
    const int count = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, std::numeric_limits<int>::max())));
    if (count == 0 || (count < 0 && errno == EINTR)) continue;
    // A failure of poll() shows itself again in what the library does next.
    if (ready != nullptr) *ready = count > 0 ? entry.revents : events;
    return true;
  }
}

bool has_hung_up(int socket) {
  pollfd entry{socket, POLLIN, 0};
  return socket < 0 || poll(&entry, 1, 0) != 0;
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

SqlSource::SqlSource(SqlOptions options) : options_(std::move(options)), avoided_until_(options_.driver->servers()) {}

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
    if (answer.ok() || absl::IsNotFound(answer.status())) give_back(std::move(connection));
    return answer;
  };
  if (std::unique_ptr<SqlConnection> idle = take_idle()) {
    absl::StatusOr<SqlAnswer> answer = ask_on(std::move(idle));
    if (answer.ok() || absl::IsNotFound(answer.status())) return answer;
    // What broke it, or makes it hang, has done the same to those beside it.
    forget_idle();
    if (absl::IsDeadlineExceeded(answer.status())) return answer;
  }
  absl::StatusOr<std::unique_ptr<SqlConnection>> fresh = connect(deadline);
  if (!fresh.ok()) return fresh.status();
  return ask_on(*std::move(fresh));
}

std::unique_ptr<SqlConnection> SqlSource::take_idle() {
  for (;;) {
    Pooled pooled;
    {
      const std::lock_guard guard(lock_);
      if (idle_.empty()) return nullptr;
      pooled = std::move(idle_.back());
      idle_.pop_back();
    }
    if (now() - pooled.since < idle_max && pooled.connection->is_alive()) return std::move(pooled.connection);
  }
}

void SqlSource::give_back(std::unique_ptr<SqlConnection> connection) {
  const std::lock_guard guard(lock_);
  idle_.push_back({std::move(connection), now()});
}

// They are closed when the lock is open again.
void SqlSource::forget_idle() {
  std::vector<Pooled> forgotten;
  const std::lock_guard guard(lock_);
  forgotten.swap(idle_);
}

Changes SqlSource::poll() {
  std::vector<Pooled> old;
  const std::lock_guard guard(lock_);
  const auto young =
      std::find_if(idle_.begin(), idle_.end(), [&](const Pooled& pooled) { return now() - pooled.since < idle_max; });
  std::move(idle_.begin(), young, std::back_inserter(old));
  idle_.erase(idle_.begin(), young);
  return {};
}

std::vector<size_t> SqlSource::order_of_servers(Instant at) {
  std::vector<size_t> order(avoided_until_.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  const std::lock_guard guard(lock_);
  std::stable_partition(order.begin(), order.end(), [&](size_t server) { return avoided_until_[server] <= at; });
  return order;
}

// Each server gets its share of what is left, so that one which hangs leaves time for the next.
absl::StatusOr<std::unique_ptr<SqlConnection>> SqlSource::connect(Instant deadline) {
  const std::vector<size_t> order = order_of_servers(now());
  std::string faults;
  for (size_t i = 0; i < order.size(); ++i) {
    const Instant begin = now();
    const auto share = (deadline - begin) / static_cast<int64_t>(order.size() - i);
    absl::StatusOr<std::unique_ptr<SqlConnection>> connection =
        options_.driver->connect(order[i], task(), begin + share);
    if (connection.ok()) return connection;
    faults += (faults.empty() ? "" : "; ") + std::string(connection.status().message());
    const std::lock_guard guard(lock_);
    avoided_until_[order[i]] = now() + avoid;
  }
  return absl::UnavailableError(faults);
}

absl::Status SqlSource::check() {
  postern_question question{};
  question.protocol = {"imap", 4};
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
  std::vector<std::string_view> known{"password", "disabled"};
  for (const RouteAttribute& attribute : route_attributes())
    known.push_back(attribute.name);
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
