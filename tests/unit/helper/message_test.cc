// SPDX-License-Identifier: GPL-3.0-or-later
// The SDK's lines: what it understands of a gate, what it makes of an answer, and that no byte can confuse it.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "postern/helper.h"

namespace {

std::string text(postern_bytes bytes) {
  return bytes.data == nullptr ? "(none)" : std::string(bytes.data, bytes.size);
}

// A question that frees itself.
struct Parsed {
  explicit Parsed(std::string_view line) : fault(postern_question_parse(line.data(), line.size(), &question)) {}
  ~Parsed() { postern_question_free(question); }
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;

  postern_question* question = nullptr;
  postern_fault fault;
};

std::string built(const char* id, const postern_answer& answer, postern_fault expected = POSTERN_FINE) {
  char line[POSTERN_HELPER_LINE_MAX];
  size_t size = 1;
  EXPECT_EQ(postern_answer_build(postern_text(id), &answer, line, sizeof line, &size), expected);
  if (expected != POSTERN_FINE) {
    EXPECT_EQ(size, 0u);
  }
  return std::string(line, size);
}

constexpr std::string_view full =
    "op=verify&id=17&protocol=imap&mechanism=PLAIN&user=joe%40example.test&authzid=ann&password=s3cr%26t+%00&token=t&"
    "subject=CN%3Djoe&common_name=joe&email=joe%40a.test&fingerprint=0a1b&client=203.0.113.7%3A4711&local=192.0.2.1%"
    "3A993&listener=imap-993&tls=TLSv1.3&"
    "sni=mail.example.test&session=9f2c&later=thing\n";

TEST(Question, CarriesEveryValueToTheOctet) {
  const Parsed parsed(full);
  ASSERT_EQ(parsed.fault, POSTERN_FINE);
  const postern_question& question = *parsed.question;
  EXPECT_EQ(text(question.op), "verify");
  EXPECT_EQ(text(question.id), "17");
  EXPECT_EQ(text(question.protocol), "imap");
  EXPECT_EQ(text(question.mechanism), "PLAIN");
  EXPECT_EQ(text(question.user), "joe@example.test");
  EXPECT_EQ(text(question.authzid), "ann");
  EXPECT_EQ(text(question.password), std::string("s3cr&t \0", 8));
  EXPECT_EQ(text(question.token), "t");
  EXPECT_EQ(text(question.subject), "CN=joe");
  EXPECT_EQ(text(question.common_name), "joe");
  EXPECT_EQ(text(question.email), "joe@a.test");
  EXPECT_EQ(text(question.fingerprint), "0a1b");
  EXPECT_EQ(text(question.client), "203.0.113.7:4711");
  EXPECT_EQ(text(question.local), "192.0.2.1:993");
  EXPECT_EQ(text(question.listener), "imap-993");
  EXPECT_EQ(text(question.tls), "TLSv1.3");
  EXPECT_EQ(text(question.sni), "mail.example.test");
  EXPECT_EQ(text(question.session), "9f2c");
  EXPECT_EQ(text(postern_question_get(&question, "later")), "thing");
  EXPECT_EQ(text(postern_question_get(&question, "password")), std::string("s3cr&t \0", 8));
  EXPECT_EQ(text(postern_question_get(&question, "never")), "(none)");
  EXPECT_EQ(postern_question_peer(&question), nullptr);
}

// "There and empty" is not "not there": an empty password must be seen as one.
TEST(Question, TellsEmptyFromMissing) {
  const Parsed parsed("op=verify&id=1&user=joe&password=");
  ASSERT_EQ(parsed.fault, POSTERN_FINE);
  EXPECT_NE(parsed.question->password.data, nullptr);
  EXPECT_EQ(parsed.question->password.size, 0u);
  EXPECT_EQ(parsed.question->token.data, nullptr);
}

TEST(Question, RefusesWhatHasTwoMeanings) {
  EXPECT_EQ(Parsed("op=verify&id=1&user=joe&user=ann").fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=verify&op=hello").fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=verify&id=1&user=%4").fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=verify&id=1&user=%zz").fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=hello\nop=hello\n").fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=verify&id=" + std::string(65, '1')).fault, POSTERN_MALFORMED);
  EXPECT_EQ(Parsed("op=verify&id=" + std::string(64, '1')).fault, POSTERN_FINE);
  EXPECT_EQ(Parsed("op=verify&new=1&new=2").fault, POSTERN_FINE);
}

TEST(Question, HasAnEnd) {
  const std::string head = "op=verify&user=";
  const std::string fits = head + std::string(POSTERN_HELPER_LINE_MAX - 1 - head.size(), 'x') + "\n";
  EXPECT_EQ(Parsed(fits).fault, POSTERN_FINE);
  EXPECT_EQ(Parsed(head + std::string(POSTERN_HELPER_LINE_MAX - head.size(), 'x') + "\n").fault, POSTERN_TOO_LONG);
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += "k=v&";
  EXPECT_EQ(Parsed(many).fault, POSTERN_TOO_LONG);
}

// A line that is cut at any byte is understood or refused, and what is understood is a part of the whole.
TEST(Question, CutAtEveryByte) {
  for (size_t size = 0; size <= full.size(); ++size) {
    const Parsed parsed(full.substr(0, size));
    if (parsed.fault != POSTERN_FINE) {
      EXPECT_EQ(parsed.question, nullptr);
      continue;
    }
    const std::string user = text(parsed.question->user);
    EXPECT_TRUE(user == "(none)" || std::string_view("joe@example.test").starts_with(user)) << size;
  }
}

// The same lines with random bytes overwritten, inserted and removed; seeds are fixed, so a failure comes again.
TEST(Question, SurvivesDamage) {
  std::mt19937 random(20240607);
  for (int round = 0; round < 20000; ++round) {
    std::string line(full);
    for (unsigned edits = 1 + random() % 6; edits > 0; --edits) {
      const size_t at = random() % line.size();
      const char byte = static_cast<char>(random());
      switch (random() % 3) {
        case 0: line[at] = byte; break;
        case 1: line.insert(at, 1, byte); break;
        default: line.erase(at, 1 + random() % 4); break;
      }
    }
    const Parsed parsed(line);
    EXPECT_EQ(parsed.question != nullptr, parsed.fault == POSTERN_FINE);
  }
}

TEST(Answer, SaysEverything) {
  const postern_bytes backs[] = {postern_text("127.0.1.1:143"), postern_text("[2001:db8::1]:143")};
  postern_answer answer{};
  answer.result = POSTERN_OK;
  answer.user = postern_text("j4711");
  answer.master_user = postern_text("postern");
  answer.master_password = postern_text("a&b=c\n");
  answer.back = backs;
  answer.back_count = 2;
  answer.tls = POSTERN_TLS_STARTTLS;
  answer.tls_name = postern_text("mx.example.test");
  answer.mechanism = postern_text("PLAIN");
  answer.proxy_protocol = 2;
  answer.xclient = POSTERN_YES;
  answer.sessions_max = 20;
  answer.moving_to = postern_text("127.0.1.2");
  answer.moving_to_tls_name = postern_text("new.test");
  answer.ttl_s = 300;
  answer.cache = POSTERN_NO;
  answer.vary = postern_text("client");
  answer.text = postern_text("welcome");
  answer.delay_ms = 7;                         // of a refusal: not said here
  answer.code = postern_text("CONTACTADMIN");  // likewise
  EXPECT_EQ(built("17", answer),
            "id=17&result=ok&user=j4711&master_user=postern&master_password=a%26b%3Dc%0A&back=127.0.1.1%3A143&"
            "back=%5B2001%3Adb8%3A%3A1%5D%3A143&moving_to=127.0.1.2&moving_to_tls_name=new.test&tls=starttls&tls_name="
            "mx.example.test&mechanism=PLAIN&"
            "proxy_protocol=v2&xclient=yes&sessions_max=20&ttl=300&cache=no&vary=client&text=welcome\n");
}

TEST(Answer, RefusesInOneWord) {
  postern_answer answer{};
  answer.result = POSTERN_REJECT;
  EXPECT_EQ(built("18", answer), "id=18&result=reject&reason=credentials\n");
  answer.reason = POSTERN_REASON_DISABLED;
  answer.delay_ms = 2000;
  answer.code = postern_text("CONTACTADMIN");
  answer.text = postern_text("ask the office");
  EXPECT_EQ(built("18", answer),
            "id=18&result=reject&reason=disabled&delay_ms=2000&code=CONTACTADMIN&text=ask+the+office\n");
  answer = {};
  answer.text = postern_text("database is down");
  EXPECT_EQ(built("19", answer), "id=19&result=unavailable&text=database+is+down\n");
  answer = {};
  answer.result = POSTERN_ERROR;
  EXPECT_EQ(built("", answer), "result=error\n");
}

TEST(Answer, ContradictionsAreNotSent) {
  const postern_bytes backs[] = {postern_text("127.0.1.1:143")};
  const postern_answer ok{.result = POSTERN_OK};
  built("", ok, POSTERN_MALFORMED);

  postern_answer answer = ok;
  answer.pool = postern_text("default");
  answer.back = backs;
  answer.back_count = 1;
  built("1", answer, POSTERN_MALFORMED);

  answer = ok;
  answer.master_user = postern_text("postern");
  built("1", answer, POSTERN_MALFORMED);
  answer.master_password = postern_text("secret");
  answer.password = postern_text("secret");
  built("1", answer, POSTERN_MALFORMED);

  answer = ok;
  answer.password = postern_text("");
  built("1", answer, POSTERN_MALFORMED);

  answer = ok;
  answer.proxy_protocol = 3;
  built("1", answer, POSTERN_MALFORMED);

  answer = ok;
  answer.back_count = 1;
  built("1", answer, POSTERN_MALFORMED);
}

TEST(Answer, KnowsItsLimits) {
  const std::string huge(POSTERN_HELPER_LINE_MAX, 'x');
  postern_answer answer{};
  answer.result = POSTERN_OK;
  answer.user = postern_text(huge.c_str());
  built("1", answer, POSTERN_TOO_LONG);
  char small[10];
  size_t size = 1;
  answer = {};
  EXPECT_EQ(postern_answer_build(postern_text("1"), &answer, small, sizeof small, &size), POSTERN_NO_ROOM);
  EXPECT_EQ(size, 0u);
}

TEST(Invalidate, NamesOneOrAll) {
  char line[POSTERN_HELPER_LINE_MAX];
  size_t size = 0;
  ASSERT_EQ(postern_invalidate_build(postern_text("joe@example.test"), line, sizeof line, &size), POSTERN_FINE);
  EXPECT_EQ(std::string(line, size), "op=invalidate&user=joe%40example.test\n");
  ASSERT_EQ(postern_invalidate_build(postern_text("*"), line, sizeof line, &size), POSTERN_FINE);
  EXPECT_EQ(std::string(line, size), "op=invalidate&user=*\n");
  EXPECT_EQ(postern_invalidate_build(postern_text(""), line, sizeof line, &size), POSTERN_MALFORMED);
}

TEST(Hello, IsVersionOne) {
  char line[POSTERN_HELPER_LINE_MAX];
  size_t size = 0;
  ASSERT_EQ(postern_hello_build(postern_text("my helper"), line, sizeof line, &size), POSTERN_FINE);
  EXPECT_EQ(std::string(line, size), "op=hello&version=1&name=my+helper\n");
}

}  // namespace
