// SPDX-License-Identifier: GPL-3.0-or-later
// Queries with variables, and what rows say of users.
#include "helper/sources/query.h"

#include <gtest/gtest.h>

#include "helper/sources/columns.h"

namespace postern::helper {
namespace {

postern_question question() {
  postern_question question{};
  question.user = postern_text("Joe@Example.test");
  question.protocol = postern_text("imap");
  question.client = postern_text("[2001:db8::7]:4711");
  question.local = postern_text("192.0.2.1:993");
  return question;
}

using Values = std::vector<std::string>;

TEST(Query, BecomesAStatementAndItsValues) {
  const postern_question of = question();
  const Asked asked(of, "Joe@Example.test");
  const auto query = Query::parse_sql("SELECT 'a%%' WHERE u=%{user} AND d=%{domain} AND x=%{user} AND c=%{client}");
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->statement(Query::Placeholder::Dollar), "SELECT 'a%' WHERE u=$1 AND d=$2 AND x=$1 AND c=$3");
  EXPECT_EQ(query->values(Query::Placeholder::Dollar, asked),
            (Values{"joe@example.test", "example.test", "2001:db8::7"}));
  EXPECT_EQ(query->statement(Query::Placeholder::QuestionMark), "SELECT 'a%' WHERE u=? AND d=? AND x=? AND c=?");
  EXPECT_EQ(query->values(Query::Placeholder::QuestionMark, asked).size(), 4u);
  EXPECT_TRUE(query->has(Variable::Domain));
  EXPECT_FALSE(query->has(Variable::Local));
}

TEST(Query, AllVariables) {
  const postern_question of = question();
  const Asked asked(of, "Joe@Example.test");
  const auto query = Query::parse("%{local}|%{domain}|%{protocol}|%{client}|%{server}|%{listener}|%{sni}|100%");
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->expand(asked, [](std::string_view text) { return "<" + std::string(text) + ">"; }),
            "<joe>|<example.test>|<imap>|<2001:db8::7>|<192.0.2.1>|<>|<>|100%");
  const Asked bare(of, "joe");
  EXPECT_EQ(value_of(Variable::Local, bare), "joe");
  EXPECT_EQ(value_of(Variable::Domain, bare), "");
}

TEST(Query, SaysWhatIsWrong) {
  const auto said = [](std::string_view text) { return std::string(Query::parse_sql(text).status().message()); };
  EXPECT_NE(said("x = %{usr}").find("unknown variable %{usr}; there are %{user}, "), std::string::npos)
      << said("x = %{usr}");
  EXPECT_EQ(said("x = %{user"), "has a %{ without its }");
  for (const char* quoted : {"x = '%{user}'", "x = \"%{user}\"", "x = `%{user}`", "x LIKE 'it''s %{user}'"})
    EXPECT_NE(said(quoted).find("in quotes"), std::string::npos) << quoted;
  EXPECT_TRUE(Query::parse_sql("x = 'a' || %{user} || 'it''s'").ok());
  EXPECT_TRUE(Query::parse("'%{user}'").ok());
}

Column column(const char* name, const char* value) {
  return {name, value == nullptr ? Secret() : Secret(value), value == nullptr};
}

TEST(Columns, MakeAnEntry) {
  std::vector<Column> row;
  row.push_back(column("Password", "{PLAIN}x"));
  row.push_back(column("DISABLED", "t"));
  row.push_back(column("back", "127.0.1.1:143"));
  row.push_back(column("tls", nullptr));
  row.push_back(column("master", "1"));
  row.push_back(column("allow_protocols", "imap,sieve"));
  row.push_back(column("shoe_size", "44"));
  const auto entry = entry_of(row);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->hash.reveal(), "{PLAIN}x");
  EXPECT_TRUE(entry->disabled);
  EXPECT_TRUE(entry->has_hash);
  EXPECT_EQ(entry->route.backs.size(), 1u);
  EXPECT_EQ(entry->route.master, POSTERN_YES);
  EXPECT_EQ(unused(row), Values{"shoe_size"});
}

TEST(Columns, ALockedPasswordIsNone) {
  std::vector<Column> row;
  row.push_back(column("password", nullptr));
  EXPECT_TRUE(entry_of(row)->has_hash);
  EXPECT_TRUE(entry_of(row)->hash.empty());
  EXPECT_FALSE(entry_of({})->has_hash);
}

// What it held is not shown.
TEST(Columns, FaultsNameTheColumn) {
  std::vector<Column> row;
  row.push_back(column("disabled", "perhaps"));
  EXPECT_EQ(std::string(entry_of(row).status().message()),
            "column disabled is neither true nor false (1 or 0, yes or no)");
  row.clear();
  row.push_back(column("back", "mx.example.test"));
  EXPECT_NE(std::string(entry_of(row).status().message()).find("column back is no address"), std::string::npos);
}

}  // namespace
}  // namespace postern::helper
