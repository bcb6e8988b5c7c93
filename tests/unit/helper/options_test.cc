// SPDX-License-Identifier: GPL-3.0-or-later
// postern-auth.toml: what each setting means, and the sentence for each mistake.
#include "helper/options.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>

namespace postern::helper {
namespace {

std::string problems(std::string_view text) {
  std::string all;
  for (const std::string& problem : parse_options(text, "f.toml").problems)
    all += problem + "\n";
  return all;
}

TEST(Options, NothingIsTheEmbeddedDefault) {
  const ReadResult read = parse_options("", "f.toml");
  EXPECT_TRUE(read.problems.empty());
  EXPECT_EQ(read.options.socket, "/run/postern/auth.sock");
  EXPECT_EQ(read.options.socket_mode, 0660u);
  ASSERT_EQ(read.options.sources.size(), 1u);
  EXPECT_EQ(std::get<SqliteOptions>(read.options.sources[0].options).database, "/var/lib/postern/users.db");
}

TEST(Options, EverythingCanBeSaid) {
  const ReadResult read = parse_options(R"(
socket = "/tmp/a.sock"
socket_mode = "0600"
socket_group = "postern"
workers = 3
queue = 50
question_timeout = "1500ms"
reject_delay = "0s"
scheme = "argon2id"
weak_schemes = ["MD5-CRYPT", "SHA1"]
upgrade_schemes = true
argon2_memory = "64MiB"
[[source]]
type = "sqlite"
database = "/tmp/u.db"
busy_timeout = "100ms"
back = ["127.0.1.1:143", "[::1]:143"]
ttl = 60
[[source]]
type = "passwd-file"
file = "/tmp/users"
pool = "p"
[[source]]
type = "static"
match = ["*@A.test", "joe"]
password = "{PLAIN}x"
allow_nets = ["10.0.0.0/8"]
)",
                                        "f.toml");
  EXPECT_EQ(read.problems, std::vector<std::string>{});
  EXPECT_EQ(read.options.socket_mode, 0600u);
  EXPECT_EQ(read.options.question_timeout, Duration(1500));
  EXPECT_EQ(read.options.passwords.scheme, Scheme::Argon2id);
  EXPECT_EQ(read.options.passwords.weak_schemes, (std::vector<std::string>{"MD5-CRYPT", "SHA1"}));
  EXPECT_TRUE(read.options.passwords.upgrade_schemes);
  EXPECT_EQ(read.options.passwords.argon2_memory_kib, 65536u);
  ASSERT_EQ(read.options.sources.size(), 3u);
  const auto& sqlite = std::get<SqliteOptions>(read.options.sources[0].options);
  EXPECT_EQ(sqlite.busy_timeout_ms, 100u);
  EXPECT_EQ(read.options.sources[0].rules.defaults.backs.size(), 2u);
  EXPECT_EQ(read.options.sources[0].rules.defaults.ttl_s, 60u);
  EXPECT_EQ(read.options.sources[1].rules.defaults.pool, "p");
  EXPECT_EQ(std::get<StaticOptions>(read.options.sources[2].options).match[0], "*@a.test");
}

TEST(Options, EachMistakeHasItsLineAndSentence) {
  EXPECT_EQ(problems("sokcet = \"/x\"\n"), "f.toml:1: the file has no setting \"sokcet\"; did you mean \"socket\"?\n");
  EXPECT_EQ(problems("\nworkers = \"2\"\n"), "f.toml:2: workers must be a whole number from 0 to 1024; found \"2\".\n");
  EXPECT_EQ(problems("reject_delay = \"2\""),
            "f.toml:1: reject_delay must be a duration in quotes, from \"0s\" to \"30s\"; found \"2\".\n");
  EXPECT_EQ(problems("argon2_memory = \"1KiB\""),
            "f.toml:1: argon2_memory must be a size in quotes, from \"1MiB\" to \"64GiB\"; found \"1KiB\".\n");
  EXPECT_EQ(problems("socket_mode = 660"),
            "f.toml:1: socket_mode must be a mode in octal digits and quotes, such as \"0660\"; found 660.\n");
  EXPECT_EQ(problems("socket = \"auth.sock\""),
            "f.toml:1: socket must be a path in quotes, from \"/\" on; found \"auth.sock\".\n");
  EXPECT_EQ(problems("scheme = \"md5\""),
            "f.toml:1: scheme is \"md5\"; it can be one of yescrypt, gost-yescrypt, scrypt, bcrypt, sha512, sha256, "
            "argon2id, "
            "scram-sha-256.\n");
  EXPECT_EQ(problems("weak_schemes = [\"MD5-CRPYT\"]"),
            "f.toml:1: weak_schemes holds \"MD5-CRPYT\"; did you mean \"MD5-CRYPT\"?\n");
  EXPECT_EQ(
      problems("weak_schemes = [\"yescrypt or so\", 5]"),
      "f.toml:1: weak_schemes holds \"yescrypt or so\"; the weak schemes are MD5-CRYPT, SHA1-CRYPT, SUNMD5-CRYPT, "
      "DES-CRYPT, APR1-CRYPT, SHA1, SMD5, PLAIN-MD5 and LDAP-MD5.\n"
      "f.toml:1: weak_schemes holds 5; the weak schemes are MD5-CRYPT, SHA1-CRYPT, SUNMD5-CRYPT, DES-CRYPT, "
      "APR1-CRYPT, SHA1, SMD5, PLAIN-MD5 and LDAP-MD5.\n");
  EXPECT_EQ(problems("weak_schemes = \"SHA1\""),
            "f.toml:1: weak_schemes must be a list of texts in brackets; found \"SHA1\".\n");
  EXPECT_EQ(problems("upgrade_schemes = \"yes\""),
            "f.toml:1: upgrade_schemes must be true or false, without quotes; found \"yes\".\n");
  EXPECT_EQ(problems("[[source]]\ntype = \"sqlit\"\n"),
            "f.toml:2: type in [[source]] is \"sqlit\"; did you mean \"sqlite\"?\n");
  EXPECT_EQ(problems("[[source]]\ntype = \"sqlite\"\nbakc = \"x\"\n"),
            "f.toml:3: [[source]] has no setting \"bakc\"; did you mean \"back\"?\n");
  EXPECT_EQ(
      problems("[[source]]\ntype = \"sqlite\"\nback = \"mx:143\"\n"),
      "f.toml:3: back in [[source]] is \"mx:143\", which is no address with a port. Write IPv4 as 192.0.2.10:143 and "
      "IPv6 as [2001:db8::10]:143; names are not looked up.\n");
  EXPECT_EQ(problems("[[source]]\ndatabase = \"/x\"\n"),
            "f.toml:1: [[source]] lacks type. Write, for example: type = \"sqlite\"\n");
  EXPECT_NE(problems("[source]\ntype = \"sqlite\"\n").find("double brackets"), std::string::npos);
  EXPECT_NE(problems("= nonsense").find("f.toml:1: "), std::string::npos);
}

// All at once, in the order of the file.
TEST(Options, NothingIsHeldBack) {
  const std::string all = problems("workers = -1\nfoo = 1\n[[source]]\ntype = \"passwd-file\"\n[[source]]\ntype = 5\n");
  EXPECT_NE(all.find(":1: workers"), std::string::npos) << all;
  EXPECT_NE(all.find(":2: the file has no setting \"foo\""), std::string::npos) << all;
  EXPECT_NE(all.find(":3: [[source]] lacks file"), std::string::npos) << all;
  EXPECT_NE(all.find(":6: type"), std::string::npos) << all;
}

TEST(Options, AStaticSourceOpensNoDoor) {
  const std::string head = "[[source]]\ntype = \"static\"\nmatch = \"*\"\n";
  EXPECT_NE(problems(head).find("lacks password"), std::string::npos);
  EXPECT_NE(problems(head + "check = \"back\"\npassword = \"{PLAIN}x\"\n").find("keep one of them"), std::string::npos);
  EXPECT_NE(problems(head + "check = \"back\"\nmaster_user = \"m\"\nmaster_password = \"x\"\n").find("let in"),
            std::string::npos);
  EXPECT_NE(problems(head + "check = \"back\"\nback_password = \"x\"\n").find("let in"), std::string::npos);
  EXPECT_EQ(problems(head + "check = \"back\"\npool = \"p\"\n"), "");
}

TEST(Options, RulesOfAnySource) {
  const ReadResult read = parse_options(R"(default_domain = "Example.test"
allowed_characters = "@.-"
[aliases]
Joe = "joseph@example.test"
[[source]]
type = "passwd-file"
file = "/x"
name = "the old ones"
role = "route"
users = ["*@A.test", "joe"]
protocols = ["imap", "sieve"]
on_unknown = "stop"
on_mismatch = "continue"
on_failure = "continue"
connections = 3
timeout = "500ms"
retry_after = "10s"
check = "back"
default_scheme = "SSHA256"
)",
                                        "f.toml");
  EXPECT_EQ(read.problems, std::vector<std::string>{});
  EXPECT_EQ(read.options.names.default_domain, "example.test");
  EXPECT_EQ(read.options.names.aliases.at("joe"), "joseph@example.test");
  const SourceRules& rules = read.options.sources.at(0).rules;
  EXPECT_EQ(rules.name, "the old ones");
  EXPECT_TRUE(rules.only_route);
  EXPECT_EQ(rules.users, (std::vector<std::string>{"*@a.test", "joe"}));
  EXPECT_EQ(rules.protocols, (std::vector<std::string>{"imap", "sieve"}));
  EXPECT_EQ(rules.on_unknown, SourceRules::Then::Stop);
  EXPECT_EQ(rules.on_mismatch, SourceRules::Then::Continue);
  EXPECT_EQ(rules.on_failure, SourceRules::Then::Continue);
  EXPECT_EQ(rules.turnstile.connections, 3u);
  EXPECT_EQ(rules.turnstile.timeout, Duration(500));
  EXPECT_EQ(rules.turnstile.retry_after, std::chrono::seconds(10));
  EXPECT_TRUE(rules.check_at_back);
  EXPECT_EQ(rules.default_scheme, "{SSHA256}");
  const std::string head = "[[source]]\ntype = \"sqlite\"\n";
  EXPECT_EQ(problems(head + "role = \"rout\"\n"),
            "f.toml:3: role in [[source]] is \"rout\"; did you mean \"route\"?\n");
  EXPECT_EQ(
      problems(head + "protocols = [\"smtp\"]\n"),
      "f.toml:3: protocols in [[source]] has \"smtp\"; there are \"imap\", \"pop3\", \"submission\" and \"sieve\".\n");
  EXPECT_EQ(problems("[aliases]\njoe = 5\n"),
            "f.toml:2: [aliases] has \"joe\", which is not a name for another name. Write, for example: joe = "
            "\"joe@example.test\"\n");
}

TEST(Options, SecretsAreNotRepeated) {
  const std::string head = "[[source]]\ntype = \"static\"\nmatch = \"*\"\n";
  EXPECT_EQ(problems(head + "password = 123456\n").find("123456"), std::string::npos);
  EXPECT_EQ(problems(head + "password = \"{PLAIN}x\"\nmaster_password = 123456\n").find("123456"), std::string::npos);
}

// A file that is cut at any byte is read or complained about.
TEST(Options, CutAtEveryByte) {
  const std::string whole =
      "workers = 3\n[[source]]\ntype = \"static\"\nmatch = [\"*@a.test\"]\npassword = \"{PLAIN}x\"\n";
  for (size_t size = 0; size <= whole.size(); ++size) {
    const ReadResult read = parse_options(std::string_view(whole).substr(0, size), "f.toml");
    if (read.problems.empty()) {
      EXPECT_FALSE(read.options.sources.empty());
    }
  }
}

}  // namespace
}  // namespace postern::helper
