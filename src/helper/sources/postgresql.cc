// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/postgresql.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "config/words.h"
#include "helper/socket_wait.h"

namespace postern::helper {
namespace {

constexpr const char* statement_name = "login";

struct FreeResult {
  void operator()(PGresult* result) const {
    // It may hold hashes; the library would leave them in memory.
    for (int row = 0; row < PQntuples(result); ++row) {
      for (int column = 0; column < PQnfields(result); ++column)
        wipe(PQgetvalue(result, row, column), static_cast<size_t>(PQgetlength(result, row, column)));
    }
    PQclear(result);
  }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

struct FreeConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, FreeConnection>;

// Without DETAIL, which may hold what stands in the table.
absl::Status failure_in(const PGresult* result) {
  const auto field = [&](int code) {
    const char* text = PQresultErrorField(result, code);
    return std::string(text != nullptr ? text : "");
  };
  const std::string state = field(PG_DIAG_SQLSTATE);
  // Character not in repertoire, untranslatable character: the database's encoding has no such letter.
  if (state == "22021" || state == "22P05") return absl::NotFoundError("no such name");
  // The server's own time limit has struck.
  if (state == "57014") return too_late();
  std::string text = "query: " + one_line(field(PG_DIAG_MESSAGE_PRIMARY));
  if (const std::string at = field(PG_DIAG_STATEMENT_POSITION); !at.empty()) text += ", at its character " + at;
  if (const std::string hint = field(PG_DIAG_MESSAGE_HINT); !hint.empty()) text += "; " + one_line(hint);
  return absl::InternalError(text);
}

class PostgresqlConnection : public SqlConnection {
 public:
  explicit PostgresqlConnection(Connection connection) : connection_(std::move(connection)) {}

  absl::Status open(const SqlTask& task, Instant deadline) {
    if (absl::Status status = shake_hands(deadline); !status.ok()) return status;
    if (PQsetnonblocking(pg(), 1) != 0) return broken();
    // The server would not notice that nobody waits any more, and PQcancel() might wait for a server that hangs.
    const std::string limit = "SET statement_timeout = " + std::to_string(task.limit.count());
    if (PQsendQuery(pg(), limit.c_str()) == 0) return broken();
    if (absl::Status status = finish(deadline, nullptr); !status.ok()) return status;
    if (PQsendPrepare(pg(), statement_name, task.statement.c_str(), 0, nullptr) == 0) return broken();
    return finish(deadline, nullptr);
  }

  bool is_alive() override { return !has_hung_up(PQsocket(pg())); }

  absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values, Instant deadline) override {
    std::vector<const char*> parameters;
    for (const std::string& value : values)
      parameters.push_back(value.c_str());
    if (PQsendQueryPrepared(pg(), statement_name, static_cast<int>(parameters.size()), parameters.data(), nullptr,
                            nullptr, 0) == 0) {
      return broken();
    }
    // Row by row, so that a query for everybody can be stopped.
    PQsetSingleRowMode(pg());
    SqlAnswer answer;
    if (absl::Status status = finish(deadline, &answer); !status.ok()) return status;
    return answer;
  }

 private:
  PGconn* pg() const { return connection_.get(); }
  absl::Status broken() const { return absl::UnavailableError(one_line(PQerrorMessage(pg()))); }

  absl::Status shake_hands(Instant deadline) {
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK; next = PQconnectPoll(pg())) {
      if (next == PGRES_POLLING_FAILED || PQstatus(pg()) == CONNECTION_BAD) return broken();
      if (!wait_for(PQsocket(pg()), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) return too_late();
    }
    return absl::OkStatus();
  }

  // Everything that the last command gives, up to its end; of several failures the first one.
  absl::Status finish(Instant deadline, SqlAnswer* answer) {
    absl::Status first;
    for (;;) {
      absl::StatusOr<Result> result = next_result(deadline);
      if (!result.ok()) return result.status();
      if (*result == nullptr) return first;
      absl::Status status = take(result->get(), answer);
      // The rest of too much is not waited for.
      if (absl::IsFailedPrecondition(status)) return status;
      first.Update(status);
    }
  }

  // nullptr: there are no more.
  absl::StatusOr<Result> next_result(Instant deadline) {
    for (;;) {
      const int unsent = PQflush(pg());
      if (unsent < 0) return broken();
      if (unsent == 0 && PQisBusy(pg()) == 0) return Result(PQgetResult(pg()));
      const short events = unsent != 0 ? POLLIN | POLLOUT : POLLIN;
      if (!wait_for(PQsocket(pg()), events, deadline)) return too_late();
      if (PQconsumeInput(pg()) == 0) return broken();
    }
  }

  static absl::Status take(PGresult* result, SqlAnswer* answer) {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK) {
      return answer == nullptr ? absl::OkStatus()
                               : absl::FailedPreconditionError("query: it gives no rows; it must be a SELECT");
    }
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) return failure_in(result);
    if (answer == nullptr) return absl::OkStatus();
    const int columns = PQnfields(result);
    if (answer->columns.empty()) {
      for (int i = 0; i < columns; ++i)
        answer->columns.emplace_back(PQfname(result, i));
    }
    for (int row = 0; row < PQntuples(result); ++row) {
      if (answer->rows.size() == SqlAnswer::rows_max) return too_many_rows();
      std::vector<Column> into;
      for (int i = 0; i < columns; ++i) {
        const auto size = static_cast<size_t>(PQgetlength(result, row, i));
        if (size > SqlAnswer::value_size_max) return value_too_long(answer->columns[static_cast<size_t>(i)]);
        into.push_back({PQfname(result, i), Secret(std::string_view(PQgetvalue(result, row, i), size)),
                        PQgetisnull(result, row, i) != 0});
      }
      answer->rows.push_back(std::move(into));
    }
    return absl::OkStatus();
  }

  Connection connection_;
};

// One of several hosts that `connection` names, in libpq's words for it; empty: as said there, or libpq's default.
struct Server {
  std::string host, address, port;
};

struct Setting {
  std::string connection;
  Secret password;
  std::vector<Server> servers;
  std::string name;
};

class PostgresqlDriver : public SqlDriver {
 public:
  explicit PostgresqlDriver(Setting setting) : setting_(std::move(setting)) {}

  const std::string& name() const override { return setting_.name; }
  Query::Placeholder placeholder() const override { return Query::Placeholder::Dollar; }
  size_t servers() const override { return setting_.servers.size(); }

  absl::StatusOr<std::unique_ptr<SqlConnection>> connect(size_t server, const SqlTask& task,
                                                         Instant deadline) const override {
    auto made = std::make_unique<PostgresqlConnection>(start(setting_.servers[server]));
    const absl::Status status = made->open(task, deadline);
    if (status.ok()) return made;
    // The library's own words on a failed connection name the server already.
    const std::string& host = setting_.servers[server].host;
    const bool names_it = host.empty() || !absl::IsDeadlineExceeded(status);
    return absl::Status(status.code(), (names_it ? "" : host + ": ") + std::string(status.message()));
  }

 private:
  Connection start(const Server& server) const {
    std::string password(setting_.password.reveal());
    // A later word counts more than an earlier one; an empty one not at all.
    const char* const words[] = {
        "dbname", "host", "hostaddr", "port", "password", "client_encoding", "fallback_application_name", nullptr};
    const char* const values[] = {setting_.connection.c_str(),
                                  server.host.c_str(),
                                  server.address.c_str(),
                                  server.port.c_str(),
                                  password.c_str(),
                                  "UTF8",
                                  "postern-auth",
                                  nullptr};
    Connection connection(PQconnectStartParams(words, values, 1));
    wipe(password);
    return connection;
  }

  const Setting setting_;
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  for (size_t comma = list.find(','); comma != list.npos; comma = list.find(',')) {
    items.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma + 1);
  }
  items.emplace_back(list);
  return items;
}

// libpq would try its hosts by itself, but without a time limit for each: the first one that hangs would be the last.
// What is wrong with the lists; empty: nothing.
std::string split_servers(const std::string& host, const std::string& address, const std::string& port,
                          std::vector<Server>& servers) {
  const std::vector<std::string> hosts = split(host), addresses = split(address), ports = split(port);
  const size_t count = std::max(hosts.size(), addresses.size());
  const auto fits = [&](const std::string& text, const std::vector<std::string>& items) {
    return text.empty() || items.size() == count;
  };
  if (!fits(host, hosts) || !fits(address, addresses) || (ports.size() != 1 && ports.size() != count))
    return "has lists of different lengths in host, hostaddr and port";
  for (size_t i = 0; i < count; ++i) {
    servers.push_back(
        {host.empty() ? "" : hosts[i], address.empty() ? "" : addresses[i], ports[ports.size() == 1 ? 0 : i]});
    const bool is_default = servers.back().host.empty() && servers.back().address.empty();
    if (count > 1 && is_default) return "has an empty place in its list of hosts";
  }
  return "";
}

// What is wrong with it; empty: nothing. Never what stands there: it may be a password in the wrong place.
std::string read_connection(Setting& setting) {
  char* fault = nullptr;
  PQconninfoOption* const options = PQconninfoParse(setting.connection.c_str(), &fault);
  if (options == nullptr) {
    const bool may_tell =
        setting.connection.find("pass") == std::string::npos && setting.connection.find("://") == std::string::npos;
    const std::string words = may_tell && fault != nullptr ? one_line(fault) : "it is not understood";
    PQfreemem(fault);
    return "is no connection string of libpq: " + words;
  }
  std::string host, address, port, database, wrong;
  const std::pair<std::string_view, std::string*> wanted[] = {
      {"host", &host}, {"hostaddr", &address}, {"port", &port}, {"dbname", &database}};
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "password") wrong = "holds a password; put that into a file, and the file's name into password_file";
    for (const auto& [word, into] : wanted) {
      if (keyword == word) *into = option->val;
    }
  }
  PQconninfoFree(options);
  if (wrong.empty()) wrong = split_servers(host, address, port, setting.servers);
  setting.name = "postgresql:" + database + "@" + (host.empty() ? address : host);
  return wrong;
}

}  // namespace

SqlOptions read_postgresql(TableReader& reader) {
  Setting setting;
  const config::Value* said = reader.take("connection");
  if (said == nullptr) {
    reader.missing("connection", "connection = \"host=/run/postgresql dbname=mail user=postern\"");
  } else if (said->kind != config::Value::Kind::Text || said->text.find('\0') != std::string::npos) {
    reader.wrong(*said, "connection", "must be a text in quotes");
  } else {
    setting.connection = said->text;
    if (const std::string wrong = read_connection(setting); !wrong.empty()) reader.wrong(*said, "connection", wrong);
  }
  reader.secret_file("password_file", setting.password);
  return {std::make_unique<PostgresqlDriver>(std::move(setting)), read_query(reader)};
}

}  // namespace postern::helper
