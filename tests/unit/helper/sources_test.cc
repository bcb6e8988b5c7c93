// SPDX-License-Identifier: GPL-3.0-or-later
// What sources are made of, without a process: names, routes, lines of a passwd-file, the database.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "helper/names.h"
#include "helper/route.h"
#include "helper/sources/passwd_file.h"
#include "helper/sources/sqlite_source.h"
#include "helper/sources/static_source.h"
#include "helper/sources/user_store.h"

namespace postern::helper {
namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/postern-sources-XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(Names, PatternsMatchWhatTheySay) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("*@example.test", "joe@example.test"));
  EXPECT_FALSE(matches_pattern("*@example.test", "joe@example.test.evil"));
  EXPECT_FALSE(matches_pattern("*@example.test", "joe@xexample.test"));
  EXPECT_TRUE(matches_pattern("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_pattern("a*b*c", "a-c-b"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_FALSE(matches_pattern("*a*a*a*a*a*a*b", std::string(user_size_max, 'a')));
}

TEST(Names, BecomeThoseOfTheSources) {
  NameRules rules;
  EXPECT_EQ(canonical_name("Joe@Example.TEST", rules), "joe@example.test");
  EXPECT_EQ(canonical_name("", rules), std::nullopt);
  rules.default_domain = "example.test";
  EXPECT_EQ(canonical_name("Joe", rules), "joe@example.test");
  EXPECT_EQ(canonical_name("joe@other.test", rules), "joe@other.test");
  rules.aliases = {{"boss", "ann@other.test"}, {"chief", "joe"}};
  EXPECT_EQ(canonical_name("BOSS", rules), "ann@other.test");
  EXPECT_EQ(canonical_name("chief", rules), "joe@example.test");
  rules.allowed_characters = "@.";
  EXPECT_EQ(canonical_name("joe.x@example.test", rules), "joe.x@example.test");
  EXPECT_EQ(canonical_name("joe+x@example.test", rules), std::nullopt);
  EXPECT_EQ(canonical_name("jo\xc3\xa9", rules), std::nullopt);
  EXPECT_EQ(canonical_name(std::string(user_size_max, 'x'), rules), std::nullopt) << "too long with its domain";
}

TEST(Names, AllSpellingsOfAUser) {
  NameRules rules;
  EXPECT_EQ(spellings("joe@example.test", rules), std::vector<std::string>{"joe@example.test"});
  rules.default_domain = "example.test";
  rules.aliases = {{"boss", "joe@example.test"}, {"chief", "joe"}, {"other", "ann"}};
  EXPECT_EQ(spellings("joe@example.test", rules),
            (std::vector<std::string>{"joe@example.test", "joe", "boss", "chief"}));
}

TEST(Route, EachUserKeepsHisHashedBack) {
  Route route;
  ASSERT_TRUE(set_attribute(route, "back_by_hash", "127.0.1.1:143,127.0.1.2:143,127.0.1.3:143").ok());
  Route smaller;
  ASSERT_TRUE(set_attribute(smaller, "back_by_hash", "127.0.1.1:143,127.0.1.2:143").ok());
  std::map<std::string, int> users;
  for (int i = 0; i < 3000; ++i) {
    const std::string user = "user" + std::to_string(i) + "@example.test";
    const std::vector<std::string> backs = backs_for(route, user);
    ASSERT_EQ(backs.size(), 3u);
    ++users[backs[0]];
    // Only those move whose mail server is gone.
    if (backs[0] != "127.0.1.3:143") {
      EXPECT_EQ(backs_for(smaller, user)[0], backs[0]);
    }
  }
  for (const auto& [back, count] : users)
    EXPECT_NEAR(count, 1000, 150) << back;
  EXPECT_FALSE(check_route([&] {
                 Route both = route.clone();
                 both.pool = "p";
                 return both;
               }())
                   .ok());
}

TEST(Names, WhoCanBeAUser) {
  EXPECT_EQ(folded("Joe@EXAMPLE.test"), "joe@example.test");
  EXPECT_EQ(folded("J\xc3\x96"
                   "E"),
            "j\xc3\x96"
            "e")
      << "bytes beyond ASCII stay";
  EXPECT_TRUE(is_user_name("joe"));
  for (const std::string_view name : {std::string_view(""), std::string_view("*"), std::string_view("a\nb"),
                                      std::string_view("a\0b", 3), std::string_view("\x7f")}) {
    EXPECT_FALSE(is_user_name(name));
  }
  EXPECT_FALSE(is_user_name(std::string(user_size_max + 1, 'x')));
}

// Each attribute that can be said can be read back; each kind of nonsense is refused and changes nothing.
TEST(Route, AttributesGoInAndOut) {
  const std::pair<const char*, const char*> good[] = {
      {"back", "127.0.1.1:143,[2001:db8::1]:993,192.0.2.7"},
      {"pool", "default"},
      {"moving_to", "[2001:db8::2]:143"},
      {"moving_to_tls_name", "new.example.test"},
      {"back_user", "{local}"},
      {"back_password", "x"},
      {"master_user", "boss"},
      {"master_password", "y"},
      {"tls", "starttls"},
      {"tls_name", "mx.example.test"},
      {"mechanism", "PLAIN"},
      {"proxy_protocol", "v2"},
      {"xclient", "yes"},
      {"back_by_hash", "127.0.1.1:143,127.0.1.2:143"},
      {"allow_protocols", "imap,sieve"},
      {"master", "yes"},
      {"expires", "2026-12-31T18:00:00Z"},
      {"text", "Come to the office"},
      {"code", "CONTACTADMIN"},
      {"ttl", "300"},
      {"sessions_max", "5"},
      {"allow_nets", "10.0.0.0/8,2001:db8::/32"},
  };
  EXPECT_EQ(std::size(good), route_attributes().size()) << "every attribute is tried";
  for (const auto& [name, value] : good) {
    Route route;
    EXPECT_EQ(attribute_text(route, name), "") << name;
    EXPECT_TRUE(set_attribute(route, name, value).ok()) << name;
    EXPECT_EQ(attribute_text(route, name), value);
    EXPECT_EQ(attribute_text(route.clone(), name), value);
    EXPECT_TRUE(set_attribute(route, name, "").ok()) << name;
    EXPECT_EQ(attribute_text(route, name), "") << name;
  }
  Route route;
  for (const auto& [name, value] : {std::pair{"back", "mx.example.test:143"},
                                    {"back", "127.0.0.1:0"},
                                    {"back", ","},
                                    {"back", "127.0.0.1:143,x"},
                                    {"moving_to", "mx.example.test"},
                                    {"moving_to", "127.0.0.1:143,127.0.0.2:143"},
                                    {"tls", "maybe"},
                                    {"mechanism", "CRAM-MD5"},
                                    {"proxy_protocol", "v3"},
                                    {"ttl", "0"},
                                    {"ttl", "-1"},
                                    {"ttl", "1x"},
                                    {"sessions_max", "99999999999"},
                                    {"allow_nets", "10.0.0.0/33"},
                                    {"allow_nets", "local"},
                                    {"pool", "a\nb"}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(set_attribute(route, name, value))) << name << " " << value;
    EXPECT_EQ(attribute_text(route, name), "") << name << " " << value;
  }
  EXPECT_TRUE(absl::IsNotFound(set_attribute(route, "bakc", "x")));
}

TEST(Route, DefaultsDoNotContradictWhatIsSaid) {
  Route defaults;
  ASSERT_TRUE(set_attribute(defaults, "pool", "default").ok());
  ASSERT_TRUE(set_attribute(defaults, "master_user", "boss").ok());
  ASSERT_TRUE(set_attribute(defaults, "master_password", "y").ok());
  ASSERT_TRUE(set_attribute(defaults, "ttl", "60").ok());
  Route own;
  ASSERT_TRUE(set_attribute(own, "back", "127.0.1.1:143").ok());
  ASSERT_TRUE(set_attribute(own, "back_password", "x").ok());
  own.fill_from(defaults);
  EXPECT_TRUE(check_route(own).ok());
  EXPECT_EQ(own.pool, "");
  EXPECT_EQ(own.master_user, "");
  EXPECT_EQ(own.ttl_s, 60u);
  Route empty;
  empty.fill_from(defaults);
  EXPECT_EQ(empty.pool, "default");
  EXPECT_EQ(empty.master_password.reveal(), "y");
}

TEST(Route, ExpandsTheUser) {
  EXPECT_EQ(expand_user("{local}", "joe@example.test"), "joe");
  EXPECT_EQ(expand_user("{domain}/{local}{", "joe@x@example.test"), "example.test/joe@x{");
  EXPECT_EQ(expand_user("{domain}|{local}|{user}", "joe"), "|joe|joe");
  EXPECT_EQ(expand_user("{user}", "{domain}@x"), "{domain}@x") << "once, not twice";
}

TEST(PasswdFile, ReadsBothLayouts) {
  const PasswdTable table = parse_passwd(
      "# comment\n\nJoe:$6$x:1000:1000::/home/joe::pool=a:b ttl=5\r\nann:{PLAIN}pw\njoe:second\n:nameless\nbare");
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table.at("joe").number, 3u);
  const absl::StatusOr<Entry> joe = parse_passwd_line(table.at("joe"));
  ASSERT_TRUE(joe.ok()) << joe.status();
  EXPECT_EQ(joe->hash.reveal(), "$6$x");
  EXPECT_EQ(joe->route.pool, "a:b");
  EXPECT_EQ(joe->route.ttl_s, 5u);
  EXPECT_EQ(parse_passwd_line(table.at("ann"))->hash.reveal(), "{PLAIN}pw");
  EXPECT_FALSE(parse_passwd_line(table.at("bare")).ok());
}

absl::StatusOr<Entry> fields(std::string_view extra) {
  const PasswdTable table = parse_passwd("joe:x::::::" + std::string(extra));
  return parse_passwd_line(table.at("joe"));
}

TEST(PasswdFile, SpeaksDovecotsProxyFields) {
  const absl::StatusOr<Entry> entry = fields(
      "proxy=y host=mx.example.test hostip=2001:db8::1 port=993 ssl=any-cert user=x destuser=j master=boss pass=pw "
      "proxy_timeout=5 userdb_home=/x");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(attribute_text(entry->route, "back"), "[2001:db8::1]:993");
  EXPECT_EQ(entry->route.tls, POSTERN_TLS_IMPLICIT);
  EXPECT_EQ(entry->route.user, "j");
  EXPECT_EQ(entry->route.master_user, "boss");
  EXPECT_EQ(entry->route.master_password.reveal(), "pw");
  EXPECT_EQ(fields("pass=pw")->route.password.reveal(), "pw");
  EXPECT_TRUE(fields("nologin")->disabled);
  for (const char* wrong : {"host=mx.example.test", "allow_nets=local", "allow_real_nets=10.0.0.0/8", "nopassword",
                            "deny", "bakc=1", "master=boss", "back=127.0.0.1:1 pool=x"}) {
    EXPECT_FALSE(fields(wrong).ok()) << wrong;
  }
}

// A file cut at any byte gives users that the whole file has, or nobody.
TEST(PasswdFile, CutAtEveryByte) {
  const std::string whole = "joe:{PLAIN}x::::::pool=p\r\nann:y\n#z\n";
  for (size_t size = 0; size <= whole.size(); ++size) {
    for (const auto& [user, line] : parse_passwd(std::string_view(whole).substr(0, size))) {
      EXPECT_TRUE(std::string_view("joe").starts_with(user) || std::string_view("ann").starts_with(user)) << user;
      static_cast<void>(parse_passwd_line(line));
    }
  }
}

TEST(UserStore, KeepsUsersAndTheirChanges) {
  const Folder folder;
  const std::string path = folder / "users.db";
  absl::StatusOr<UserStore> store = UserStore::open(path, 1000);
  ASSERT_TRUE(store.ok()) << store.status();
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);

  UserRecord joe;
  joe.user = "Joe'; DROP TABLE users; --";
  joe.hash = Secret("{PLAIN}x");
  ASSERT_TRUE(set_attribute(joe.route, "back", "127.0.1.1:143").ok());
  ASSERT_TRUE(store->add(joe).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store->add(joe)));

  absl::StatusOr<UserStore> other = UserStore::open(path, 1000);
  ASSERT_TRUE(other.ok()) << other.status();
  const absl::StatusOr<std::optional<UserRecord>> found = other->find("JOE'; drop table users; --");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->hash.reveal(), "{PLAIN}x");
  EXPECT_EQ(attribute_text((*found)->route, "back"), "127.0.1.1:143");

  const int64_t version = *other->data_version();
  EXPECT_EQ(*other->data_version(), version);
  const int64_t id = other->changed_within(100)->last_id;
  EXPECT_TRUE(*store->set_password(joe.user, "{PLAIN}y"));
  EXPECT_FALSE(*store->set_password("nobody", "{PLAIN}y"));
  EXPECT_NE(*other->data_version(), version);
  const absl::StatusOr<ChangedUsers> changed = other->changed_after(id);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->users, std::vector<std::string>{folded(joe.user)});
  EXPECT_FALSE(changed->gap);
  EXPECT_TRUE(other->changed_after(changed->last_id)->users.empty());
  EXPECT_TRUE(other->changed_after(changed->last_id + 5)->gap) << "another file's numbers";
  EXPECT_TRUE(*store->remove(joe.user));
  EXPECT_FALSE(*store->remove(joe.user));
  EXPECT_TRUE(store->list()->empty());
}

AppPassword app_password(const char* label, const char* hash, const char* protocols = "") {
  AppPassword password{"Joe", label, Secret(hash), Route()};
  EXPECT_TRUE(set_attribute(password.limits, "allow_protocols", protocols).ok());
  return password;
}

TEST(UserStore, KeepsApplicationPasswords) {
  const Folder folder;
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 1000);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(absl::IsAlreadyExists(store->add_app_password(app_password("phone", "h")))) << "nobody has it";
  for (const char* name : {"joe", "ann"}) {
    UserRecord record;
    record.user = name;
    record.hash = Secret("{PLAIN}x");
    ASSERT_TRUE(store->add(record).ok());
  }
  const int64_t id = store->changed_within(100)->last_id;
  ASSERT_TRUE(store->add_app_password(app_password("phone", "{PLAIN}p", "imap,submission")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store->add_app_password(app_password("PHONE", "h")))) << "one label, two spellings";
  const std::vector<AppPassword> passwords = *store->app_passwords("JOE");
  ASSERT_EQ(passwords.size(), 1u);
  EXPECT_EQ(passwords[0].label, "phone");
  EXPECT_EQ(passwords[0].hash.reveal(), "{PLAIN}p");
  EXPECT_EQ(passwords[0].limits.allowed_protocols.size(), 2u);
  EXPECT_TRUE(store->app_passwords("ann")->empty());
  EXPECT_EQ(store->changed_after(id)->users, std::vector<std::string>{"joe"});

  EXPECT_TRUE(*store->replace_password("joe", "{PLAIN}p", "better"));
  EXPECT_FALSE(*store->replace_password("joe", "{PLAIN}p", "late"));
  EXPECT_EQ((*store->app_passwords("joe"))[0].hash.reveal(), "better");
  EXPECT_EQ((*store->find("joe"))->hash.reveal(), "{PLAIN}x");

  for (size_t i = 1; i < AppPassword::count_max; ++i)
    ASSERT_TRUE(store->add_app_password(app_password(("p" + std::to_string(i)).c_str(), "h")).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(store->add_app_password(app_password("one more", "h"))));
  EXPECT_TRUE(*store->remove_app_password("joe", "Phone"));
  EXPECT_FALSE(*store->remove_app_password("joe", "phone"));
  EXPECT_TRUE(store->add_app_password(app_password("one more", "h")).ok());
}

// A user of the password "x".
UserRecord joe() {
  UserRecord record;
  record.user = "joe";
  record.hash = Secret("{PLAIN}x");
  return record;
}

// Whatever program renames or removes the user.
TEST(UserStore, ApplicationPasswordsFollowTheirUser) {
  const Folder folder;
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 1000);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(store->add(joe()).ok());
  ASSERT_TRUE(store->add_app_password(app_password("phone", "h")).ok());
  absl::StatusOr<Database> other = Database::open(folder / "users.db", 1000);
  ASSERT_TRUE(other->run("UPDATE users SET user = 'joseph' WHERE user = 'joe'").ok());
  EXPECT_EQ(store->app_passwords("joseph")->size(), 1u);
  EXPECT_TRUE(store->app_passwords("joe")->empty());
  ASSERT_TRUE(other->run("UPDATE app_passwords SET allow_nets = 'nowhere'").ok());
  EXPECT_TRUE(absl::IsDataLoss(store->app_passwords("joseph").status()));
  ASSERT_TRUE(other->run("DELETE FROM users WHERE user = 'joseph'").ok());
  EXPECT_TRUE(store->all_app_passwords()->empty());
}

// A better hash takes the place of the one that it was made from, and of no other.
TEST(SqliteSource, KeepsABetterHashOfTheSamePassword) {
  const Folder folder;
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 1000);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(store->add(joe()).ok());
  SqliteSource source({.database = folder / "users.db"});
  source.upgrade("joe", Secret("{PLAIN}x"), Secret("better"));
  EXPECT_EQ((*store->find("joe"))->hash.reveal(), "better");
  ASSERT_TRUE(*store->set_password("joe", "{PLAIN}changed meanwhile"));
  source.upgrade("joe", Secret("better"), Secret("late"));
  EXPECT_EQ((*store->find("joe"))->hash.reveal(), "{PLAIN}changed meanwhile");
  source.upgrade("nobody", Secret("{PLAIN}x"), Secret("better"));
  EXPECT_FALSE((*store->find("nobody")).has_value());
}

// Root may write everything, so that another user tries it.
TEST(SqliteSource, AReadOnlyDatabaseIsNotWritten) {
  const Folder folder;
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 1000);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(store->add(joe()).ok());
  ASSERT_EQ(chmod((folder / "").c_str(), 0755), 0);
  for (const char* name : {"users.db", "users.db-wal", "users.db-shm"}) {
    ASSERT_EQ(chmod((folder / name).c_str(), 0444), 0);
  }
  const bool is_root = geteuid() == 0;
  ASSERT_TRUE(!is_root || seteuid(65534) == 0);
  SqliteSource source({.database = folder / "users.db"});
  const postern_question question{};
  const Lookup found = source.find(Asked(question, "joe"));
  absl::StatusOr<UserStore> reader = UserStore::open(folder / "users.db", 1000);
  const bool read_only = reader.ok() && reader->read_only();
  testing::internal::CaptureStderr();
  source.upgrade("joe", Secret("{PLAIN}x"), Secret("better"));
  const std::string log = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(!is_root || seteuid(0) == 0);
  EXPECT_TRUE(std::holds_alternative<Entries>(found));
  EXPECT_TRUE(read_only);
  EXPECT_EQ(log, "");
  EXPECT_EQ((*store->find("joe"))->hash.reveal(), "{PLAIN}x");
}

TEST(UserStore, RefusesOtherFiles) {
  const Folder folder;
  std::ofstream(folder / "garbage") << std::string(10000, 'x');
  EXPECT_FALSE(UserStore::open(folder / "garbage", 100).ok());
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 100);
  ASSERT_TRUE(store.ok());
  absl::StatusOr<Database> foreign = Database::open(folder / "users.db", 100);
  ASSERT_TRUE(foreign.ok());
  ASSERT_TRUE(foreign->run("PRAGMA application_id = 7").ok());
  EXPECT_FALSE(UserStore::open(folder / "users.db", 100).ok());
  EXPECT_FALSE(UserStore::open("/nowhere/users.db", 100).ok());
}

// What an older postern-auth has made keeps its users.
TEST(UserStore, BringsAnOlderSchemaUpToDate) {
  const Folder folder;
  {
    absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 100);
    ASSERT_TRUE(store.ok());
    UserRecord record;
    record.user = "joe";
    record.hash = Secret("{PLAIN}x");
    ASSERT_TRUE(store->add(record).ok());
    absl::StatusOr<Database> database = Database::open(folder / "users.db", 100);
    ASSERT_TRUE(database
                    ->run("DROP TABLE app_passwords; DROP TRIGGER user_takes_app_passwords_along;"
                          "DROP TRIGGER user_leaves_no_app_passwords")
                    .ok());
    for (const char* column :
         {"moving_to", "moving_to_tls_name", "back_by_hash", "allow_protocols", "master", "expires", "text", "code"})
      ASSERT_TRUE(database->run(("ALTER TABLE users DROP COLUMN " + std::string(column)).c_str()).ok());
    ASSERT_TRUE(database->run("PRAGMA user_version = 1").ok());
  }
  absl::StatusOr<UserStore> store = UserStore::open(folder / "users.db", 100);
  ASSERT_TRUE(store.ok()) << store.status();
  absl::StatusOr<std::optional<UserRecord>> record = store->find("joe");
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  ASSERT_TRUE(set_attribute((*record)->route, "allow_protocols", "imap").ok());
  EXPECT_TRUE(store->update(**record).value_or(false));
  EXPECT_EQ((*store->find("joe"))->route.allowed_protocols.size(), 1u);
  EXPECT_TRUE(store->add_app_password(app_password("phone", "h")).ok());
}

}  // namespace
}  // namespace postern::helper
