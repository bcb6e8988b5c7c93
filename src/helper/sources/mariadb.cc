// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/mariadb.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/words.h"
#include "helper/socket_wait.h"
#include "helper/this_machine.h"

namespace postern::helper {
namespace {

// How the way to the server is encrypted.
enum class Tls : size_t { None, Required, Verified };
constexpr std::string_view tls_words[] = {"none", "required", "verified"};  // in the order of Tls

struct Server {
  std::string host;  // empty: the socket
  unsigned port = 0;
};

struct Setting {
  std::vector<Server> servers;
  std::string socket;
  std::string database;
  std::string user;  // empty: whom the process runs as, which the server can see through a socket
  Secret password;
  Tls tls = Tls::None;
  std::string ca, certificate, key;
  std::string name;
};

// Errors of the server that say: no text of this database can be the name.
constexpr unsigned unfit_names[] = {ER_CANT_AGGREGATE_2COLLATIONS, ER_INVALID_CHARACTER_STRING,
                                    ER_CANNOT_CONVERT_CHARACTER};
// The server's own time limits, MariaDB's and MySQL's.
constexpr unsigned late_errors[] = {ER_STATEMENT_TIMEOUT, 3024};

class MariadbConnection : public SqlConnection {
 public:
  MariadbConnection() : mysql_(mysql_init(nullptr)) {}
  MariadbConnection(const MariadbConnection&) = delete;
  MariadbConnection& operator=(const MariadbConnection&) = delete;
  ~MariadbConnection() override {
    if (mysql_ == nullptr) return;
    // A goodbye to a server that hangs would hang too.
    if (broken_) shutdown(mysql_get_socket(mysql_), SHUT_RDWR);
    if (statement_ != nullptr) mysql_stmt_close(statement_);
    mysql_close(mysql_);
  }

  absl::Status open(const Setting& setting, const Server& server, const SqlTask& task, Instant deadline) {
    if (mysql_ == nullptr) return absl::ResourceExhaustedError("no memory");
    broken_ = true;
    set_options(setting, task);
    if (absl::Status status = connect(setting, server, deadline); !status.ok()) return status;
    statement_ = mysql_stmt_init(mysql_);
    if (statement_ == nullptr) return absl::ResourceExhaustedError("no memory");
    int failed = 0;
    const absl::Status status = drive(
        deadline,
        [&] { return mysql_stmt_prepare_start(&failed, statement_, task.statement.data(), task.statement.size()); },
        [&](int ready) { return mysql_stmt_prepare_cont(&failed, statement_, ready); });
    if (!status.ok()) return status;
    if (failed != 0) return failure();
    read_columns();
    if (columns_.empty()) return absl::FailedPreconditionError("query: it gives no rows; it must be a SELECT");
    broken_ = false;
    return absl::OkStatus();
  }

  bool is_alive() override { return !has_hung_up(mysql_get_socket(mysql_)); }

  absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values, Instant deadline) override {
    broken_ = true;
    if (absl::Status status = execute(values, deadline); !status.ok()) return status;
    SqlAnswer answer;
    answer.columns = columns_;
    for (;;) {
      const absl::StatusOr<bool> row = fetch(answer, deadline);
      if (!row.ok()) return row.status();
      if (!*row) break;
    }
    my_bool failed = 0;
    const absl::Status status = drive(
        deadline, [&] { return mysql_stmt_free_result_start(&failed, statement_); },
        [&](int ready) { return mysql_stmt_free_result_cont(&failed, statement_, ready); });
    if (!status.ok()) return status;
    broken_ = false;
    return answer;
  }

 private:
  void set_options(const Setting& setting, const SqlTask& task) {
    mysql_options(mysql_, MYSQL_OPT_NONBLOCK, nullptr);
    mysql_options(mysql_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    // Else a server could ask for any file of this machine.
    const unsigned off = 0;
    mysql_options(mysql_, MYSQL_OPT_LOCAL_INFILE, &off);
    // The server would not notice that nobody waits any more. Each of the two reads its own comment only.
    const std::string ms = std::to_string(task.limit.count());
    const std::string limit = "SET /*M!100102 max_statement_time = " + ms +
                              " / 1000, */ /*!50708 max_execution_time = " + ms + ", */ NAMES utf8mb4";
    mysql_options(mysql_, MYSQL_INIT_COMMAND, limit.c_str());
    if (setting.tls == Tls::None) return;
    const my_bool yes = 1;
    mysql_options(mysql_, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (setting.tls == Tls::Verified) mysql_options(mysql_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    if (!setting.ca.empty()) mysql_options(mysql_, MYSQL_OPT_SSL_CA, setting.ca.c_str());
    if (!setting.certificate.empty()) mysql_options(mysql_, MYSQL_OPT_SSL_CERT, setting.certificate.c_str());
    if (!setting.key.empty()) mysql_options(mysql_, MYSQL_OPT_SSL_KEY, setting.key.c_str());
  }

  absl::Status connect(const Setting& setting, const Server& server, Instant deadline) {
    const auto text = [](const std::string& word) { return word.empty() ? nullptr : word.c_str(); };
    const bool by_socket = server.host.empty();
    // Otherwise "localhost" would mean a socket of the library's own choice.
    const unsigned protocol = by_socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    mysql_options(mysql_, MYSQL_OPT_PROTOCOL, &protocol);
    std::string password(setting.password.reveal());
    MYSQL* connected = nullptr;
    // In whole seconds, for the handshake of TLS, which knows no other limit: it may take up to a second longer.
    const auto seconds = static_cast<unsigned>(std::max<int64_t>(1, (left_ms(deadline) + 999) / 1000));
    mysql_options(mysql_, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    absl::Status status = drive(
        deadline,
        [&] {
          return mysql_real_connect_start(&connected, mysql_, text(server.host), text(setting.user), password.c_str(),
                                          text(setting.database), server.port,
                                          by_socket ? setting.socket.c_str() : nullptr, 0);
        },
        [&](int ready) { return mysql_real_connect_cont(&connected, mysql_, ready); });
    wipe(password);
    if (!status.ok()) return status;
    if (connected != nullptr) return absl::OkStatus();
    // TLS calls it a failure of its own.
    return left_ms(deadline) <= 0 ? too_late() : absl::UnavailableError(one_line(mysql_error(mysql_)));
  }

  // Lets the library begin, and go on as often as it has to wait. When the deadline comes, the library is told so, because
  // only itself can clear away what it is in the middle of.
  template <typename Start, typename Continue>
  absl::Status drive(Instant deadline, Start start, Continue proceed) {
    limit_blocking(deadline);
    for (int waits = start(); waits != 0;) {
      const auto events = static_cast<short>(((waits & MYSQL_WAIT_READ) != 0 ? POLLIN : 0) |
                                             ((waits & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0) |
                                             ((waits & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0));
      short ready = 0;
      if (!wait_for(mysql_get_socket(mysql_), events, deadline, &ready)) {
        // TLS does not hear of time-outs, but of the end of a connection.
        shutdown(mysql_get_socket(mysql_), SHUT_RDWR);
        for (int i = 0; waits != 0 && i < unwinding_max; ++i)
          waits = proceed(MYSQL_WAIT_TIMEOUT);
        return too_late();
      }
      const bool ended = (ready & (POLLERR | POLLHUP | POLLNVAL)) != 0;
      limit_blocking(deadline);
      waits = proceed(((ready & POLLIN) != 0 || ended ? MYSQL_WAIT_READ : 0) |
                      ((ready & POLLOUT) != 0 || ended ? MYSQL_WAIT_WRITE : 0) |
                      ((ready & POLLPRI) != 0 ? MYSQL_WAIT_EXCEPT : 0));
    }
    return absl::OkStatus();
  }
  // Each turn ends one wait. The library has a few, one within the other; and several addresses to connect to.
  static constexpr int unwinding_max = 100;

  // With TLS, the library's calls that never block do block on the socket, so that has a limit too.
  void limit_blocking(Instant deadline) const {
    const int64_t ms = std::max<int64_t>(1, left_ms(deadline));
    const timeval limit{ms / 1000, ms % 1000 * 1000};
    for (const int way : {SO_RCVTIMEO, SO_SNDTIMEO})
      setsockopt(mysql_get_socket(mysql_), SOL_SOCKET, way, &limit, sizeof limit);
  }

  static int64_t left_ms(Instant deadline) {
    return std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now()).count();
  }

  absl::Status failure() {
    const unsigned number = mysql_stmt_errno(statement_);
    const auto is_one_of = [&](std::span<const unsigned> numbers) {
      return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
    };
    if (is_one_of(unfit_names)) {
      broken_ = false;
      return absl::NotFoundError("no such name");
    }
    if (is_one_of(late_errors)) return too_late();
    // Numbers from 2000 on are the library's own: the connection has broken.
    const bool lost = number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
    return absl::InternalError((lost ? "" : "query: ") + one_line(mysql_stmt_error(statement_)));
  }

  void read_columns() {
    MYSQL_RES* const result = mysql_stmt_result_metadata(statement_);
    if (result == nullptr) return;
    const unsigned count = mysql_num_fields(result);
    const MYSQL_FIELD* const fields = mysql_fetch_fields(result);
    for (unsigned i = 0; i < count; ++i)
      columns_.emplace_back(fields[i].name, fields[i].name_length);
    mysql_free_result(result);
  }

  absl::Status execute(const std::vector<std::string>& values, Instant deadline) {
    if (mysql_stmt_param_count(statement_) != values.size()) {
      return absl::FailedPreconditionError("query: it has a ? of its own; write %{user} and the like instead");
    }
    std::vector<MYSQL_BIND> binds(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      binds[i].buffer_type = MYSQL_TYPE_STRING;
      binds[i].buffer = const_cast<char*>(values[i].data());
      binds[i].buffer_length = values[i].size();
    }
    if (!binds.empty() && mysql_stmt_bind_param(statement_, binds.data()) != 0) return failure();
    int failed = 0;
    const absl::Status status = drive(
        deadline, [&] { return mysql_stmt_execute_start(&failed, statement_); },
        [&](int ready) { return mysql_stmt_execute_cont(&failed, statement_, ready); });
    if (!status.ok()) return status;
    return failed == 0 ? absl::OkStatus() : failure();
  }

  // False: there are no more rows. The library says how long each value is before it is asked for it.
  absl::StatusOr<bool> fetch(SqlAnswer& answer, Instant deadline) {
    std::vector<MYSQL_BIND> binds(columns_.size());
    for (MYSQL_BIND& bind : binds) {
      bind.buffer_type = MYSQL_TYPE_STRING;
      bind.length = &bind.length_value;
      bind.is_null = &bind.is_null_value;
      bind.error = &bind.error_value;
    }
    if (mysql_stmt_bind_result(statement_, binds.data()) != 0) return failure();
    int fetched = 0;
    const absl::Status status = drive(
        deadline, [&] { return mysql_stmt_fetch_start(&fetched, statement_); },
        [&](int ready) { return mysql_stmt_fetch_cont(&fetched, statement_, ready); });
    if (!status.ok()) return status;
    if (fetched == MYSQL_NO_DATA) return false;
    if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED) return failure();
    if (answer.rows.size() == SqlAnswer::rows_max) return too_many_rows();
    return take_row(answer);
  }

  absl::StatusOr<bool> take_row(SqlAnswer& answer) {
    std::vector<Column> row;
    for (unsigned i = 0; i < columns_.size(); ++i) {
      unsigned long size = 0;
      my_bool is_null = 0;
      MYSQL_BIND bind{};
      bind.buffer_type = MYSQL_TYPE_STRING;
      bind.length = &size;
      bind.is_null = &is_null;
      if (mysql_stmt_fetch_column(statement_, &bind, i, 0) != 0) return failure();
      if (is_null == 0 && size > SqlAnswer::value_size_max) return value_too_long(columns_[i]);
      std::string value(is_null != 0 ? 0 : size, '\0');
      bind.buffer = value.data();
      bind.buffer_length = value.size();
      if (!value.empty() && mysql_stmt_fetch_column(statement_, &bind, i, 0) != 0) return failure();
      row.push_back({columns_[i], Secret::take(value), is_null != 0});
    }
    answer.rows.push_back(std::move(row));
    return true;
  }

  MYSQL* const mysql_;
  MYSQL_STMT* statement_ = nullptr;
  std::vector<std::string> columns_;
  bool broken_ = false;  // in the middle of something: there is no other use for it than to be closed
};

class MariadbDriver : public SqlDriver {
 public:
  explicit MariadbDriver(Setting setting) : setting_(std::move(setting)) {
    // The first call is not for several threads at once.
    mysql_library_init(0, nullptr, nullptr);
  }

  const std::string& name() const override { return setting_.name; }
  Query::Placeholder placeholder() const override { return Query::Placeholder::QuestionMark; }
  size_t servers() const override { return setting_.servers.size(); }

  absl::StatusOr<std::unique_ptr<SqlConnection>> connect(size_t server, const SqlTask& task,
                                                         Instant deadline) const override {
    auto made = std::make_unique<MariadbConnection>();
    const Server& chosen = setting_.servers[server];
    const absl::Status status = made->open(setting_, chosen, task, deadline);
    if (status.ok()) return made;
    const std::string head = setting_.servers.size() > 1 ? chosen.host + ":" + std::to_string(chosen.port) + ": " : "";
    return absl::Status(status.code(), head + std::string(status.message()));
  }

 private:
  const Setting setting_;
};

// "db1", "db1:3307", "192.0.2.1", "[2001:db8::1]:3307". Nothing: it is none of these.
std::optional<Server> parse_server(std::string_view text, unsigned port) {
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == text.npos) return std::nullopt;
  const size_t colon = text.find(':', bracket);
  Server server{std::string(text.substr(0, colon)), port};
  if (bracket != 0) server.host = text.substr(1, bracket - 1);
  if (server.host.empty() || (bracket != 0 && text.substr(bracket + 1, 1).find_first_not_of(':') != text.npos))
    return std::nullopt;
  if (colon == text.npos) return server;
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), server.port);
  if (error != std::errc() || end != digits.data() + digits.size() || server.port == 0 || server.port > 65535)
    return std::nullopt;
  return server;
}

void read_servers(TableReader& reader, Setting& setting) {
  std::vector<std::string> names, more;
  reader.texts("host", names);
  reader.texts("hosts", more);
  names.insert(names.end(), more.begin(), more.end());
  uint32_t port = 3306;
  reader.number("port", 1, 65535, port);
  reader.path("socket", setting.socket, socket_path_max);
  const config::Value* said = reader.take(more.empty() ? "host" : "hosts");
  if (!names.empty() && !setting.socket.empty()) {
    reader.wrong(*reader.take("socket"), "socket", "excludes host and hosts; keep one of them");
  }
  for (const std::string& name : names) {
    if (std::optional<Server> server = parse_server(name, port)) {
      setting.servers.push_back(*std::move(server));
    } else {
      reader.wrong(
          *said, more.empty() ? "host" : "hosts",
          "has " + config::quoted(name) + ", which is no host; write a name or an address, with :PORT or without");
    }
  }
  if (setting.socket.empty()) setting.socket = "/run/mysqld/mysqld.sock";
  if (setting.servers.empty()) setting.servers.push_back({});
  for (const Server& server : setting.servers)
    setting.name += (setting.name.empty() ? "" : ",") + (server.host.empty() ? setting.socket : server.host);
}

// Hashes do not go through a net in the open unless somebody says so.
void read_tls(TableReader& reader, Setting& setting) {
  const bool is_local = std::all_of(setting.servers.begin(), setting.servers.end(), [](const Server& server) {
    return server.host.empty() || is_this_machine(server.host);
  });
  size_t tls = static_cast<size_t>(is_local ? Tls::None : Tls::Verified);
  reader.choice("database_tls", tls_words, tls);
  setting.tls = static_cast<Tls>(tls);
  reader.path("database_ca", setting.ca);
  reader.path("database_certificate", setting.certificate);
  reader.path("database_key", setting.key);
  if (setting.certificate.empty() != setting.key.empty()) {
    reader.wrong_table("database_certificate and database_key belong together; give both or none");
  }
  if (setting.tls == Tls::None && !(setting.ca + setting.certificate).empty()) {
    reader.wrong_table(
        "there are files for TLS, and database_tls is \"none\"; write database_tls = \"verified\", or take them out");
  }
}

}  // namespace

SqlOptions read_mariadb(TableReader& reader) {
  Setting setting;
  read_servers(reader, setting);
  reader.text("database", setting.database);
  if (setting.database.empty()) reader.missing("database", "database = \"mail\"");
  reader.text("user", setting.user);
  reader.secret_file("password_file", setting.password);
  read_tls(reader, setting);
  setting.name = "mysql:" + setting.database + "@" + setting.name;
  return {std::make_unique<MariadbDriver>(std::move(setting)), read_query(reader)};
}

}  // namespace postern::helper
