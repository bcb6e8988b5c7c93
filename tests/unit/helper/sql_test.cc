// SPDX-License-Identifier: GPL-3.0-or-later
// SQL sources without a server: a driver of the test's own answers, breaks and hangs; and the settings of the real ones.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "helper/options.h"
#include "helper/sources/sql_source.h"

namespace postern::helper {
namespace {

// What all servers and connections of a FakeDriver share.
struct Script {
  struct Server {
    absl::Status connect;                // what a connection attempt gives
    absl::StatusOr<bool> answer = true;  // what a question gives: whether there is a row
    int restarts = 0;                    // connections from before are broken
    std::vector<std::string> asked;      // by the first value
    int connected = 0;
  };
  std::map<size_t, Server> servers;
  std::vector<std::string> columns{"password", "back"};
  std::vector<std::string> cells{"{PLAIN}x", "127.0.1.1:143"};
  size_t rows = 1;
  bool seen_dead = false;  // a broken connection is seen to be before it is used
};

class FakeConnection : public SqlConnection {
 public:
  FakeConnection(Script& script, Script::Server& server) : script_(script), server_(server), born_(server.restarts) {}

  bool is_alive() override { return !script_.seen_dead || born_ == server_.restarts; }
  absl::StatusOr<SqlAnswer> ask(const std::vector<std::string>& values, Instant) override {
    if (born_ != server_.restarts) return absl::UnavailableError("lost connection");
    server_.asked.push_back(values.empty() ? "" : values[0]);
    if (!server_.answer.ok()) return server_.answer.status();
    SqlAnswer answer;
    answer.columns = script_.columns;
    for (size_t row = 0; row < (*server_.answer ? script_.rows : 0); ++row) {
      answer.rows.emplace_back();
      for (size_t i = 0; i < script_.columns.size(); ++i)
        answer.rows.back().push_back({script_.columns[i], Secret(script_.cells[i]), false});
    }
    return answer;
  }

 private:
  Script& script_;
  Script::Server& server_;
  const int born_;
};

class FakeDriver : public SqlDriver {
 public:
  explicit FakeDriver(Script& script) : script_(script) {}

  const std::string& name() const override { return name_; }
  Query::Placeholder placeholder() const override { return Query::Placeholder::QuestionMark; }
  size_t servers() const override { return script_.servers.size(); }
  absl::StatusOr<std::unique_ptr<SqlConnection>> connect(size_t server, const SqlTask&, Instant) const override {
    Script::Server& chosen = script_.servers[server];
    ++chosen.connected;
    if (!chosen.connect.ok()) return chosen.connect;
    return std::make_unique<FakeConnection>(script_, chosen);
  }

 private:
  Script& script_;
  const std::string name_ = "fake";
};

class Sql : public ::testing::Test {
 protected:
  Sql() { script.servers[0]; }

  SqlSource make(const char* query = "SELECT password, back FROM users WHERE name = %{user}") {
    return SqlSource({std::make_unique<FakeDriver>(script), *Query::parse_sql(query)});
  }
  static Lookup find(SqlSource& source, std::string_view user) {
    postern_question question{};
    return source.find(Asked(question, user));
  }
  static std::string failure(const Lookup& lookup) {
    const auto* failed = std::get_if<SourceFailure>(&lookup);
    return failed != nullptr ? failed->text : "(none)";
  }

  Script script;
};

TEST_F(Sql, EveryRowIsAnEntry) {
  SqlSource source = make();
  script.rows = 2;
  Lookup lookup = find(source, "Joe");
  ASSERT_TRUE(std::holds_alternative<Entries>(lookup));
  ASSERT_EQ(std::get<Entries>(lookup).size(), 2u);
  EXPECT_EQ(std::get<Entries>(lookup)[1].hash.reveal(), "{PLAIN}x");
  EXPECT_EQ(std::get<Entries>(lookup)[1].route.backs, std::vector<std::string>{"127.0.1.1:143"});
  EXPECT_EQ(script.servers[0].asked, std::vector<std::string>{"joe"});
  script.servers[0].answer = false;
  EXPECT_TRUE(std::holds_alternative<UnknownUser>(find(source, "joe")));
  EXPECT_EQ(script.servers[0].connected, 1) << "one connection for all";
}

TEST_F(Sql, NamesThatNoTextCanHoldDoNotReachTheServer) {
  SqlSource source = make();
  using namespace std::string_view_literals;
  for (const std::string_view name : {"joe\0"sv, "\0"sv, "\xff"sv, "j\xfcrgen"sv, "joe\xc3"sv, "\xed\xa0\x80"sv,
                                      "\xf4\x90\x80\x80"sv, "\xc0\x80"sv, "\xf8\x88\x80\x80\x80"sv, "\x80"sv}) {
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(find(source, name)));
  }
  EXPECT_TRUE(script.servers[0].asked.empty());
  for (const std::string_view name : {"j\xc3\xbcrgen"sv, "\xf0\x9f\x98\x80"sv, "\xef\xbf\xbf"sv, "'"sv})
    EXPECT_TRUE(std::holds_alternative<Entries>(find(source, name))) << name;
}

TEST_F(Sql, ABrokenIdleConnectionCostsNoLogin) {
  SqlSource source = make();
  for (const bool seen : {false, true}) {
    script.seen_dead = seen;
    ASSERT_TRUE(std::holds_alternative<Entries>(find(source, "joe")));
    ++script.servers[0].restarts;
    const int before = script.servers[0].connected;
    EXPECT_TRUE(std::holds_alternative<Entries>(find(source, "joe"))) << seen;
    EXPECT_EQ(script.servers[0].connected, before + 1);
  }
}

TEST_F(Sql, AFreshConnectionThatBreaksIsAFailure) {
  SqlSource source = make();
  script.servers[0].answer = absl::InternalError("query: no such table");
  EXPECT_EQ(failure(find(source, "joe")), "query: no such table");
  EXPECT_EQ(script.servers[0].asked.size(), 1u);
  script.servers[0].answer = true;
  EXPECT_TRUE(std::holds_alternative<Entries>(find(source, "joe")));
  // Too late is too late, on whatever connection.
  script.servers[0].answer = too_late();
  EXPECT_EQ(failure(find(source, "joe")), "did not answer in time");
  EXPECT_EQ(script.servers[0].asked.size(), 3u);
}

TEST_F(Sql, WhatTheDatabaseCannotHoldIsUnknownAndTheConnectionStays) {
  SqlSource source = make();
  script.servers[0].answer = absl::NotFoundError("");
  EXPECT_TRUE(std::holds_alternative<UnknownUser>(find(source, "joe")));
  EXPECT_TRUE(std::holds_alternative<UnknownUser>(find(source, "joe")));
  EXPECT_EQ(script.servers[0].connected, 1);
}

TEST_F(Sql, ServersAreTriedInOrderAndADeadOneIsLeftAlone) {
  script.servers[0].connect = absl::UnavailableError("one: refused");
  script.servers[1];
  script.servers[2];
  SqlSource source = make();
  EXPECT_TRUE(std::holds_alternative<Entries>(find(source, "joe")));
  EXPECT_EQ(script.servers[1].asked.size(), 1u);
  ++script.servers[1].restarts;
  script.servers[1].connect = absl::UnavailableError("two: refused");
  EXPECT_TRUE(std::holds_alternative<Entries>(find(source, "joe")));
  EXPECT_EQ(script.servers[0].connected, 1) << "it has just been seen to be dead";
  ++script.servers[2].restarts;
  script.servers[2].connect = absl::UnavailableError("three: refused");
  EXPECT_EQ(failure(find(source, "joe")), "three: refused; one: refused; two: refused");
}

TEST_F(Sql, ARowThatIsWrongIsAFailureAndNotShown) {
  SqlSource source = make();
  script.cells[1] = "s3cret";
  const std::string text = failure(find(source, "joe"));
  EXPECT_TRUE(text.starts_with("row 1 of joe: column back ")) << text;
  EXPECT_EQ(text.find("s3cret"), text.npos);
}

TEST_F(Sql, CheckLooksAtEveryServerAndAtTheColumns) {
  SqlSource source = make();
  script.servers[0].answer = false;
  EXPECT_TRUE(source.check().ok()) << source.check();
  script.columns = {"PASSWORD", "pasword", "quota"};
  script.cells.resize(3);
  std::string text(source.check().message());
  EXPECT_EQ(text,
            "query: the column \"pasword\" means nothing here; did you mean \"password\"?\n"
            "query: the column \"quota\" means nothing here; rename it with AS, or take it out of the query.");
  script.columns = {"back"};
  EXPECT_NE(source.check().message().find("there is no column \"password\""), std::string::npos);
  SourceRules rules;
  rules.only_route = true;
  source.set_rules(std::move(rules));
  EXPECT_TRUE(source.check().ok());
  script.servers[0].answer = true;
  EXPECT_NE(source.check().message().find("it gives 1 rows for nobody"), std::string::npos);
  script.servers[0].connect = absl::UnavailableError("one: refused");
  EXPECT_EQ(source.check().message(), "one: refused.");
}

std::string problems_of(const std::string& settings) {
  std::string text;
  for (const std::string& problem : parse_options("[[source]]\n" + settings, "f").problems)
    text += problem + "\n";
  return text;
}

TEST(SqlSettings, AreReadAndRefused) {
  const std::string query = "\nquery = \"SELECT password FROM users WHERE name = %{user}\"\n";
  const std::string postgresql = "type = \"postgresql\"\nconnection = ",
                    mysql = "type = \"mysql\"\ndatabase = \"mail\"\n";
  for (const std::string& good :
       {postgresql + "\"host=/run/postgresql dbname=mail user=postern\"", postgresql + "\"host=a,b,c port=1,2,3\"",
        postgresql + "\"host=a,b port=5\"", postgresql + "\"postgresql://postern@[2001:db8::1]:5433,b/mail\"",
        mysql + "check = \"back\"\ndefault_scheme = \"CRYPT\"", mysql + "host = \"db\"\nport = 3307",
        mysql + "hosts = [\"db1\", \"db2:3307\", \"[2001:db8::1]\", \"[2001:db8::1]:1\"]", mysql + "socket = \"/s\"",
        mysql + "host = \"db\"\ndatabase_tls = \"none\"",
        // Not of this machine, so TLS is asked of it unless somebody says otherwise.
        mysql + "host = \"127.evil.example\"\ndatabase_ca = \"/ca\"",
        mysql + "host = \"db\"\ndatabase_ca = \"/ca\"\ndatabase_certificate = \"/c\"\ndatabase_key = \"/k\"",
        std::string("type = \"sqlite\"\ndatabase = \"/a.db\"")}) {
    EXPECT_EQ(problems_of(good + query), "") << good;
  }
  const std::pair<std::string, const char*> bad[] = {
      {"type = \"postgresql\"" + query, "lacks connection"},
      {postgresql + "\"host=a\"", "lacks query"},
      {postgresql + "\"host=a password=s3cret\"" + query, "holds a password"},
      {postgresql + "\"postgresql://u:s3cret@a/b\"" + query, "holds a password"},
      {postgresql + "\"host=a pasword=s3cret\"" + query, "is no connection string"},
      {postgresql + "\"postgresql://u:s3cret@[::1/b\"" + query, "is no connection string"},
      {postgresql + "\"host=a,b port=1,2,3\"" + query, "lists of different lengths"},
      {postgresql + "\"host=a,,b\"" + query, "empty place"},
      {postgresql + "\"host=a\"\npassword_file = \"/nowhere/file\"" + query, "password_file"},
      {"type = \"mysql\"" + query, "lacks database"},
      {mysql + "host = \"db\"\nsocket = \"/s\"" + query, "socket in [[source]] excludes host"},
      {mysql + "hosts = [\"db:\"]" + query, "has \"db:\", which is no host"},
      {mysql + "hosts = [\"[::1\"]" + query, "which is no host"},
      {mysql + "hosts = [\"[::1]x\"]" + query, "which is no host"},
      {mysql + "hosts = [\"db:70000\"]" + query, "which is no host"},
      {mysql + "database_key = \"/k\"" + query, "belong together"},
      {mysql + "database_ca = \"/ca\"" + query, "database_tls is \"none\""},
      {mysql + "host = \"127.0.0.1\"\ndatabase_ca = \"/ca\"" + query, "database_tls is \"none\""},
      {mysql + "database_tls = \"verify\"" + query, "it can be \"none\", \"required\" or \"verified\""},
      {mysql + "query = \"SELECT 1 WHERE name = '%{user}'\"", "in quotes"},
      {mysql + "query = \"SELECT 1 WHERE name = %{usr}\"", "unknown variable"},
      {"type = \"sqlite\"" + query, "lacks database"},
      {"type = \"sqlite\"\ndatabase = \"/a\"\nbusy_timeout = \"1s\"" + query, "timeout is the limit"},
  };
  for (const auto& [settings, word] : bad) {
    const std::string text = problems_of(settings);
    EXPECT_NE(text.find(word), text.npos) << settings << "\n" << text;
    EXPECT_EQ(text.find("s3cret"), text.npos) << text;
  }
}

}  // namespace
}  // namespace postern::helper
