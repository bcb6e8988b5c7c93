// SPDX-License-Identifier: GPL-3.0-or-later
// What is said to Dovecot's auth socket and understood of it, and what a mail server's refusal of a login means.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "helper/sources/dovecot_auth.h"
#include "helper/sources/login_source.h"

namespace postern::helper {
namespace {

TEST(DovecotAuth, EscapesWhatWouldEndAField) {
  const std::string_view bytes("a\0b\001c\td\re\nf=g", 13);
  const Secret escaped = dovecot_escaped(bytes);
  EXPECT_EQ(escaped.reveal(), "a\0010b\0011c\001td\001re\001nf=g");
  EXPECT_EQ(dovecot_unescaped(escaped.reveal()).reveal(), bytes);
  EXPECT_EQ(dovecot_unescaped("x\001").reveal(), "x\001") << "an end that is none";
}

postern_question a_question() {
  postern_question question{};
  question.protocol = postern_text("imap");
  question.password = postern_text("pw");
  question.client = postern_text("[2001:db8::7]:4711");
  question.local = postern_text("192.0.2.1:993");
  question.tls = postern_text("TLSv1.3");
  question.sni = postern_text("a\tnologin");
  return question;
}

TEST(DovecotAuth, SaysAllThatPolicyMayAskFor) {
  const postern_question question = a_question();
  EXPECT_EQ(dovecot_question(7, "PLAIN", Asked(question, "joe"), "").reveal(),
            "AUTH\t7\tPLAIN\tservice=imap\tsecured=tls\tnologin\tlip=192.0.2.1\tlport=993\trip=2001:db8::7\trport=4711"
            "\tlocal_name=a\001tnologin\tresp=AGpvZQBwdw==\n");
  postern_question with_token = question;
  with_token.tls = {};
  with_token.token = postern_text("t");
  const std::string line(dovecot_question(1, "OAUTHBEARER", Asked(with_token, "a,b=c"), "smtp").reveal());
  EXPECT_NE(line.find("\tservice=smtp\tnologin\t"), line.npos) << line;
  // n,a=a=2Cb=3Dc,^Aauth=Bearer t^A^A
  EXPECT_NE(line.find("resp=bixhPWE9MkNiPTNEYywBYXV0aD1CZWFyZXIgdAEB\n"), line.npos) << line;
}

Lookup answer(std::string_view line) {
  static const postern_question question = a_question();
  const std::optional<DovecotAnswer> parsed = parse_dovecot_answer(line);
  EXPECT_TRUE(parsed.has_value()) << line;
  return parsed ? lookup_of_dovecot(*parsed, Asked(question, "joe")) : SourceFailure{"no answer"};
}

TEST(DovecotAuth, UnderstandsAnswers) {
  for (const char* line : {"", "OK", "OK\tx", "NOTFOUND\t1", "OK\t-1", "OK\t99999999999"})
    EXPECT_FALSE(parse_dovecot_answer(line).has_value()) << line;
  const Lookup plain = answer("OK\t1\tuser=joe\tpass=pw\toriginal_user=x");
  ASSERT_TRUE(std::holds_alternative<Admitted>(plain));
  EXPECT_TRUE(std::get<Admitted>(plain).entry.route.password.empty()) << "it is the mail program's own";
  EXPECT_EQ(std::get<Admitted>(plain).entry.route.user, "");
  const Lookup out = answer("OK\t1\tuser=joe\tnologin\treason=not today");
  EXPECT_TRUE(std::get<Admitted>(out).entry.disabled);
  EXPECT_EQ(std::get<Admitted>(out).entry.route.text, "not today");
  for (const char* line :
       {"OK\t1\thost=mx.example.test", "OK\t1\tmaster=boss", "FAIL\t1\tcode=temp_fail", "FAIL\t1\ttemp"})
    EXPECT_TRUE(std::holds_alternative<SourceFailure>(answer(line))) << line;
  EXPECT_EQ(std::get<Refused>(answer("FAIL\t1\tuser=joe")).reason, POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(std::get<Refused>(answer("FAIL\t1\tauthz")).reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(std::get<Refused>(answer("FAIL\t1\tcode=user_disabled\treason=Come")).text, "Come");
  EXPECT_EQ(std::get<Refused>(answer("FAIL\t1\tcode=pass_expired")).code, "EXPIRED");
}

TEST(Login, OnlyARefusalIsAMismatch) {
  using P = LoginOptions::Protocol;
  using R = LoginRefusal;
  const struct {
    P protocol;
    std::string_view reply;
    R meaning;
  } replies[] = {
      {P::Imap, "A2 NO", R::Mismatch},
      {P::Imap, "A2 NO [AUTHENTICATIONFAILED] no", R::Mismatch},
      {P::Imap, "A2 NO [EXPIRED] no", R::NotAllowed},
      {P::Imap, "A2 NO [UNAVAILABLE] no", R::Failure},
      {P::Imap, "A2 NO [", R::Mismatch},
      {P::Imap, "A2 NOBODY", R::Failure},
      {P::Imap, "", R::Failure},
      {P::Pop3, "-ERR [AUTH] no", R::Mismatch},
      {P::Pop3, "-ERR [LOGIN-DELAY] no", R::Failure},
      {P::Smtp, "535 5.7.8 no", R::Mismatch},
      {P::Smtp, "534 5.7.9 no", R::Failure},
  };
  for (const auto& [protocol, reply, meaning] : replies)
    EXPECT_EQ(meaning_of(protocol, reply), meaning) << reply;
}

}  // namespace
}  // namespace postern::helper
