// SPDX-License-Identifier: GPL-3.0-or-later
// The types ldap and pam without a server: how values are escaped, what answers mean, what is wrong with settings.
#include <gtest/gtest.h>
#include <ldap.h>
#include <security/pam_appl.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "helper/options.h"
#include "helper/sources/ldap_answers.h"

namespace postern::helper {
namespace {

// Every byte goes into a filter and a DN as libldap reads it back.
TEST(Ldap, EscapedValuesAreOnlyValues) {
  EXPECT_EQ(ldap_escaped("joe@example.test"), "joe@example.test");
  EXPECT_EQ(ldap_escaped(std::string_view("*)(\\\0", 5)), "\\2a\\29\\28\\5c\\00");
  for (int byte = 1; byte < 128; ++byte) {
    const std::string value = std::string("a") + static_cast<char>(byte) + "b";
    const std::string text = "uid=" + ldap_escaped(value) + ",dc=test";
    LDAPDN dn = nullptr;
    ASSERT_EQ(ldap_str2dn(text.c_str(), &dn, LDAP_DN_FORMAT_LDAPV3), LDAP_SUCCESS) << text;
    ASSERT_NE(dn[0], nullptr);
    ASSERT_EQ(dn[0][1], nullptr) << "one attribute";
    EXPECT_EQ(std::string(dn[0][0]->la_value.bv_val, dn[0][0]->la_value.bv_len), value);
    EXPECT_EQ(dn[2], nullptr);
    ldap_dnfree(dn);
  }
}

// Not even where the caller forgot to ask.
TEST(Ldap, AnEmptyPasswordNeverReachesABind) {
  LdapConnection connection;
  EXPECT_EQ(connection.bind("cn=joe", "", Instant::max()).code, LDAP_PARAM_ERROR);
  EXPECT_EQ(connection.bind("", "password", Instant::max()).code, LDAP_PARAM_ERROR);
}

postern_reason reason_of(const LdapResult& result) {
  const Lookup lookup = refusal_of(result);
  const auto* refused = std::get_if<Refused>(&lookup);
  EXPECT_NE(refused, nullptr) << result.text;
  return refused != nullptr ? refused->reason : POSTERN_REASON_CREDENTIALS;
}

TEST(Ldap, WhatABindSays) {
  using Policy = LdapResult::Policy;
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, "Invalid credentials"}), POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, "", Policy::Locked}), POSTERN_REASON_DISABLED);
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, "", Policy::Expired}), POSTERN_REASON_DISABLED);
  EXPECT_EQ(reason_of({LDAP_CONSTRAINT_VIOLATION, "Exceed password retry limit"}), POSTERN_REASON_DISABLED);
  const std::string head = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data ";
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, head + "52e, v2580"}), POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, head + "533, v2580"}), POSTERN_REASON_DISABLED);
  EXPECT_EQ(reason_of({LDAP_INVALID_CREDENTIALS, head + "530, v2580"}), POSTERN_REASON_NOT_ALLOWED);
  EXPECT_TRUE(std::holds_alternative<UnknownUser>(refusal_of({LDAP_NO_SUCH_OBJECT, ""})));
  for (const int code : {LDAP_BUSY, LDAP_UNWILLING_TO_PERFORM, LDAP_REFERRAL, LDAP_SERVER_DOWN, LDAP_TIMEOUT,
                         LDAP_INVALID_DN_SYNTAX, LDAP_INAPPROPRIATE_AUTH, LDAP_OTHER, LDAP_STRONG_AUTH_REQUIRED}) {
    EXPECT_TRUE(std::holds_alternative<SourceFailure>(refusal_of({code, ""}))) << code;
  }
}

LdapFound found(std::vector<std::vector<const char*>> values) {
  LdapFound one;
  one.dn = "uid=joe";
  for (const auto& list : values) {
    std::vector<Secret>& secrets = one.values.emplace_back();
    for (const char* value : list)
      secrets.emplace_back(std::string_view(value));
  }
  return one;
}

TEST(Ldap, AnEntryBecomesAUser) {
  const std::vector<LdapOptions::Mapping> mappings{
      {"password", "userPassword"}, {"back", "mailHost"}, {"disabled", "off"}, {"pool", "mailPool"}};
  auto entries = entries_of(found({{"{PLAIN}a", "{PLAIN}b"}, {"127.0.1.1", "127.0.1.2"}, {"TRUE"}, {}}), mappings);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 2u);
  for (const Entry& entry : *entries) {
    EXPECT_TRUE(entry.has_hash);
    EXPECT_TRUE(entry.disabled);
    EXPECT_EQ(entry.route.backs.size(), 2u);
  }
  EXPECT_EQ((*entries)[1].hash.reveal(), "{PLAIN}b");
  entries = entries_of(found({{}, {}, {}, {"p"}}), mappings);
  ASSERT_TRUE(entries.ok());
  EXPECT_FALSE(entries->front().has_hash);
  EXPECT_EQ(entries->front().route.pool, "p");
  EXPECT_EQ(entries_of(found({{}, {}, {}, {"p", "q"}}), mappings).status().message(),
            "uid=joe: mailPool has 2 values, and there can be one pool");
  EXPECT_EQ(entries_of(found({{}, {}, {"perhaps"}, {}}), mappings).status().message(),
            "uid=joe: column disabled is neither true nor false (1 or 0, yes or no)");
}

std::string problems(const std::string& settings) {
  std::string all;
  for (const std::string& problem : parse_options("[[source]]\n" + settings, "f").problems)
    all += problem + "\n";
  return all;
}

TEST(Ldap, EachMistakeHasItsSentence) {
  const std::string head = "type = \"ldap\"\n";
  const std::string uri = head + "uri = [\"ldaps://a\", \"ldap://127.0.0.1\", \"ldapi://%2Frun%2Fldapi\"]\n";
  const std::string search = "base = \"dc=test\"\nfilter = \"(mail=%{user})\"\n";
  EXPECT_EQ(problems(uri + search), "");
  EXPECT_EQ(problems(uri + "user_dn = \"uid=%{local},dc=test\"\n"), "");
  const std::pair<std::string, const char*> mistakes[] = {
      {head + search, "lacks uri"},
      {head + search + "uri = \"http://a\"", "has \"http://a\"; an address of a directory is"},
      {head + search + "uri = \"ldap://a/dc=test\"", "an address of a directory is"},
      {head + search + "uri = \"ldap://a ldap://b\"", "an address of a directory is"},
      {head + search + "uri = \"ldap://a\"", "where passwords would travel in clear"},
      {head + search + "uri = \"ldap://127.evil.test\"", "where passwords would travel in clear"},
      {uri, "lacks filter"},
      {uri + "filter = \"(mail=%{user})\"", "lacks base"},
      {uri + "base = \"b\"\nfilter = \"(mail=joe)\"", "has neither %{user} nor %{local}"},
      {uri + "base = \"b\"\nfilter = \"(mail=%{usr})\"", "unknown variable %{usr}"},
      {uri + search + "user_dn = \"uid=%{local}\"", "goes with a search, and user_dn without one"},
      {uri + search + "bind_dn = \"cn=x\"", "lacks bind_password_file"},
      {uri + search + "attributes = { bakc = \"x\" }",
       "attributes.bakc in [[source]] is unknown; did you mean \"back\"?"},
      {uri + search + "attributes = { back = \"a b\" }", "must be the name of an attribute"},
      {uri + search + "attributes = { password = \"userPassword\" }", "which only verify = \"hash\" looks at"},
      {uri + search + "verify = \"hash\"", "attributes = { password = \"userPassword\" }"},
      {uri + search + "check = \"back\"", "set verify = \"hash\""},
      {uri + search + "scope = \"all\"", "\"base\", \"one\" or \"sub\""},
  };
  for (const auto& [text, said] : mistakes)
    EXPECT_NE(problems(text).find(said), std::string::npos) << text << "\n" << problems(text);
}

TEST(Pam, WhatItSays) {
  const auto meaning = [](int code) {
    PamAnswer answer;
    answer.code = code;
    return meaning_of(answer);
  };
  EXPECT_TRUE(std::holds_alternative<Admitted>(meaning(PAM_SUCCESS)));
  EXPECT_TRUE(std::holds_alternative<UnknownUser>(meaning(PAM_USER_UNKNOWN)));
  EXPECT_EQ(std::get<Refused>(meaning(PAM_AUTH_ERR)).reason, POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(std::get<Refused>(meaning(PAM_PERM_DENIED)).reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(std::get<Refused>(meaning(PAM_ACCT_EXPIRED)).reason, POSTERN_REASON_DISABLED);
  for (int code = 0; code < 40; ++code) {
    const bool is_known = code == PAM_SUCCESS || code == PAM_USER_UNKNOWN || code == PAM_AUTH_ERR ||
                          code == PAM_PERM_DENIED || code == PAM_ACCT_EXPIRED || code == PAM_AUTHTOK_EXPIRED ||
                          code == PAM_NEW_AUTHTOK_REQD;
    EXPECT_NE(std::holds_alternative<SourceFailure>(meaning(code)), is_known) << code;
  }
}

TEST(Pam, EachMistakeHasItsSentence) {
  EXPECT_EQ(problems("type = \"pam\"\nservice = \"mail\"\nservice_folder = \"/etc/postern/pam.d\"\n"), "");
  EXPECT_NE(problems("type = \"pam\"\nservice = \"../x\"\n").find("it is a file's name alone"), std::string::npos);
  EXPECT_NE(problems("type = \"pam\"\nrole = \"route\"\n").find("PAM knows no routes"), std::string::npos);
}

}  // namespace
}  // namespace postern::helper
