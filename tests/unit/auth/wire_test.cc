// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/wire.h"

#include <gtest/gtest.h>

#include <string>

#include "desk_room.h"

namespace postern::auth {
namespace {

Answer answer_of(std::string_view line, BackPorts ports = {143, 993}) {
  const Heard heard = read_line(line);
  const auto* answer = std::get_if<HeardAnswer>(&heard);
  if (answer == nullptr) return Answer{NotNow{}, {}, "(no answer at all)"};
  return read_answer(answer->form, ports);
}

std::string garbage_of(std::string_view line) {
  const Heard heard = read_line(line);
  const auto* garbage = std::get_if<HeardGarbage>(&heard);
  return garbage != nullptr ? std::string(garbage->why) : "(no garbage)";
}

TEST(Wire, SaysHello) {
  EXPECT_EQ(hello_line(), Secret("op=hello&version=1&name=postern\n"));
}

TEST(Wire, WritesAQuestion) {
  EXPECT_EQ(verify_line(17, question_of("joe@example.test", "s3cret"))->reveal(),
            "op=verify&id=17&protocol=imap&listener=imap-993&mechanism=LOGIN&user=joe%40example.test&password=s3cret"
            "&client=203.0.113.7%3A4711&local=192.0.2.1%3A993&tls=TLSv1.3&sni=mail.example.test&session=9f2c\n");
  Question bare = question_of("", "");
  bare.authzid = "ann";
  bare.tls = bare.sni = bare.session_id = bare.listener = "";
  bare.client = *Endpoint::parse("[2001:db8::7]:1");
  EXPECT_EQ(verify_line(18446744073709551615u, bare)->reveal(),
            "op=verify&id=18446744073709551615&protocol=imap&mechanism=LOGIN&user=&authzid=ann&password="
            "&client=%5B2001%3Adb8%3A%3A7%5D%3A1&local=192.0.2.1%3A993\n");
}

// A name is a string, not protocol: whatever is in it, the question is one line with exactly these octets.
TEST(Wire, KeepsHostileNamesApart) {
  const std::string_view names[] = {
      "joe\tpass=x\n\nverify ann%00 {\"a\":1}",
      "joe&user=ann&id=1",
      "joe\r\nop=verify&id=2&user=ann",
      "joe%26user%3Dann",
      "joe+ann ",
      std::string_view("joe\0ann", 7),
      "\xff\xfe\x80",
  };
  for (const std::string_view name : names) {
    const std::optional<Secret> line = verify_line(1, question_of(name, name));
    ASSERT_TRUE(line);
    EXPECT_EQ(line->reveal().find_first_of("\r\n"), line->size() - 1);
    Form form;
    ASSERT_EQ(form.read(line->reveal().substr(0, line->size() - 1)), FormFault::None);
    EXPECT_EQ(form.size(), 12u);
    EXPECT_EQ(form.get("id"), "1");
    EXPECT_EQ(form.get("user"), name);
    EXPECT_EQ(form.get("password"), name);
  }
}

TEST(Wire, RefusesToWriteWhatNoLineHolds) {
  EXPECT_TRUE(verify_line(1, question_of(std::string(4096, 'x'), std::string(4096, 'y'))));
  EXPECT_FALSE(verify_line(1, question_of(std::string(4096, '\xff'), std::string(4096, '\xff'))));
}

TEST(Wire, TellsLinesApart) {
  const Heard hello = read_line("op=hello&version=1&name=postern-auth&future=yes");
  ASSERT_TRUE(std::holds_alternative<HeardHello>(hello));
  EXPECT_EQ(std::get<HeardHello>(hello).version, 1u);
  EXPECT_EQ(std::get<HeardHello>(hello).name, "postern-auth");
  for (const char* line : {"op=hello", "op=hello&version=", "op=hello&version=one", "op=hello&version=-1"}) {
    const Heard vague = read_line(line);
    ASSERT_TRUE(std::holds_alternative<HeardHello>(vague)) << line;
    EXPECT_EQ(std::get<HeardHello>(vague).version, 0u) << line;
  }

  const Heard invalidate = read_line("op=invalidate&user=joe%40example.test&user=&user=ann");
  ASSERT_TRUE(std::holds_alternative<HeardInvalidate>(invalidate));
  EXPECT_EQ(std::get<HeardInvalidate>(invalidate).users, (std::vector<std::string>{"joe@example.test", "ann"}));

  EXPECT_TRUE(std::holds_alternative<HeardNothing>(read_line("")));
  EXPECT_TRUE(std::holds_alternative<HeardNothing>(read_line("\r")));
  EXPECT_TRUE(std::holds_alternative<HeardError>(read_line("result=error")));
  const Heard unknown = read_line("op=scram-keys%0A&id=1");
  ASSERT_TRUE(std::holds_alternative<HeardUnknown>(unknown));
  EXPECT_EQ(std::get<HeardUnknown>(unknown).op, "scram-keys ");
  const Heard answer = read_line("result=ok&id=17\r");
  ASSERT_TRUE(std::holds_alternative<HeardAnswer>(answer));
  EXPECT_EQ(std::get<HeardAnswer>(answer).id, 17u);

  EXPECT_EQ(garbage_of("op=invalidate"), "an invalidate without a user");
  EXPECT_EQ(garbage_of("op=invalidate&user="), "an invalidate without a user");
  EXPECT_EQ(garbage_of("HTTP/1.1 200 OK"), "a line with neither op nor id");
  EXPECT_EQ(garbage_of("result=ok"), "a line with neither op nor id");
  EXPECT_EQ(garbage_of("id=&result=ok"), "an answer whose id is no number");
  for (const char* id : {"-1", "+1", "1x", "0x1", "18446744073709551616", " 1"}) {
    EXPECT_EQ(garbage_of(std::string("result=ok&id=") + id), "an answer whose id is no number") << id;
  }
  EXPECT_EQ(garbage_of("id=1&result=ok&text=100%"), "a line with a % that begins no escape");
  EXPECT_EQ(garbage_of(std::string(line_size_max, 'x')), "a line of more than 16 KiB");
  std::string many;
  for (size_t i = 0; i <= pairs_max; ++i)
    many += "a&";
  EXPECT_EQ(garbage_of(many), "a line of too many pairs");
}

TEST(Wire, ReadsAWholeRoute) {
  const Answer answer = answer_of(
      "id=1&result=ok&user=j4711&password=back+secret&back=127.0.1.1&back=[::1]&back=127.0.1.2:1143&back=%5B::2%5D:144"
      "&tls=starttls&tls_name=store.example.test&mechanism=plain&ttl=300&unknown=x&proxy_protocol=v2");
  EXPECT_EQ(answer.fault, "");
  const Route& route = std::get<Accept>(answer.verdict).route;
  EXPECT_EQ(route.user, "j4711");
  EXPECT_EQ(route.password, Secret("back secret"));
  ASSERT_EQ(route.backs.size(), 4u);
  EXPECT_EQ(route.backs[0].text(), "127.0.1.1:143");
  EXPECT_EQ(route.backs[1].text(), "[::1]:143");
  EXPECT_EQ(route.backs[2].text(), "127.0.1.2:1143");
  EXPECT_EQ(route.backs[3].text(), "[::2]:144");
  EXPECT_EQ(route.tls, BackTls::StartTls);
  EXPECT_EQ(route.tls_name, "store.example.test");
  EXPECT_EQ(route.mechanism, "PLAIN");
  EXPECT_EQ(answer.keeping.ttl, 300s);
  EXPECT_TRUE(answer.keeping.store);
  EXPECT_FALSE(answer.keeping.vary_client);
}

TEST(Wire, ReadsMasterAndPool) {
  const Answer answer = answer_of("id=1&result=ok&pool=old&master_user=admin&master_password=x&tls=none");
  const Route& route = std::get<Accept>(answer.verdict).route;
  EXPECT_EQ(route.pool, "old");
  EXPECT_EQ(route.master_user, "admin");
  EXPECT_EQ(route.master_password, Secret("x"));
  EXPECT_FALSE(route.password);
  EXPECT_EQ(route.tls, BackTls::None);
}

// What is not said is left to the pool; an empty value of most keys is the same as none.
TEST(Wire, LeavesOutWhatIsNotSaid) {
  for (const char* line :
       {"id=1&result=ok", "id=1&result=ok&user=&pool=&tls=&tls_name=&mechanism=&master_user=&vary="}) {
    const Answer answer = answer_of(line);
    ASSERT_EQ(answer.fault, "") << line;
    const Route& route = std::get<Accept>(answer.verdict).route;
    EXPECT_EQ(route.user + route.pool + route.tls_name + route.mechanism + route.master_user, "");
    EXPECT_TRUE(route.backs.empty());
    EXPECT_FALSE(route.tls);
    EXPECT_FALSE(route.password);
    EXPECT_FALSE(answer.keeping.ttl);
    EXPECT_TRUE(answer.keeping.store);
  }
}

TEST(Wire, TakesTheImplicitPortWithImplicitTls) {
  const auto first_back = [](std::string_view line, BackPorts ports) {
    return std::get<Accept>(answer_of(line, ports).verdict).route.backs.at(0).text();
  };
  EXPECT_EQ(first_back("id=1&result=ok&back=127.0.1.1&tls=implicit", {143, 993}), "127.0.1.1:993");
  EXPECT_EQ(first_back("id=1&result=ok&back=127.0.1.1&tls=starttls", {110, 995}), "127.0.1.1:110");
}

TEST(Wire, ReadsARefusal) {
  const Answer answer =
      answer_of("id=18&result=reject&reason=disabled&delay_ms=2000&code=CONTACTADMIN&text=Call+us&ttl=9");
  const Reject& reject = std::get<Reject>(answer.verdict);
  EXPECT_EQ(reject.reason, RejectReason::Disabled);
  EXPECT_EQ(reject.delay, 2000ms);
  EXPECT_EQ(reject.code, "CONTACTADMIN");
  EXPECT_EQ(reject.text, "Call us");
  EXPECT_EQ(answer.keeping.ttl, 9s);
  const auto reason = [](std::string_view line) { return std::get<Reject>(answer_of(line).verdict).reason; };
  EXPECT_EQ(reason("id=1&result=reject"), RejectReason::Credentials);
  EXPECT_EQ(reason("id=1&result=reject&reason=credentials"), RejectReason::Credentials);
  EXPECT_EQ(reason("id=1&result=reject&reason=not_allowed"), RejectReason::NotAllowed);
  EXPECT_EQ(reason("id=1&result=reject&reason=moon-phase"), RejectReason::Credentials);
  EXPECT_EQ(std::get<Reject>(answer_of("id=1&result=reject&delay_ms=99999999").verdict).delay, reject_delay_max);
}

// What ends up in the mail program's reply cannot end that reply.
TEST(Wire, CleansWhatPeopleRead) {
  const auto reject = [](const std::string& rest) {
    return std::get<Reject>(answer_of("id=1&result=reject&" + rest).verdict);
  };
  EXPECT_EQ(reject("text=a%0D%0Aa1+OK+in%00%7F").text, "a  a1 OK in  ");
  EXPECT_EQ(reject("text=caf%C3%A9").text, "caf\xc3\xa9");
  EXPECT_EQ(reject("text=" + std::string(text_size_max - 1, 'a') + "%C3%A9").text, std::string(text_size_max - 1, 'a'));
  EXPECT_EQ(reject("text=" + std::string(9999, '\x80')).text, "");
  EXPECT_EQ(reject("code=ALERT%5D+x").code, "");
  EXPECT_EQ(reject("code=A%0D%0AB").code, "");
  EXPECT_EQ(reject("code=" + std::string(code_size_max + 1, 'A')).code, "");
}

TEST(Wire, ReadsUnavailable) {
  const Answer answer = answer_of("id=19&result=unavailable&text=database+is+down");
  EXPECT_EQ(std::get<NotNow>(answer.verdict).text, "database is down");
  EXPECT_EQ(answer.fault, "");
  EXPECT_FALSE(answer.keeping.store);
}

TEST(Wire, ReadsWhatMayBeKept) {
  const auto keeping = [](std::string_view rest) { return answer_of("id=1&result=ok&" + std::string(rest)).keeping; };
  EXPECT_FALSE(keeping("cache=no").store);
  EXPECT_TRUE(keeping("cache=yes").store);
  EXPECT_FALSE(keeping("cache=sometimes").store);
  EXPECT_FALSE(keeping("ttl=0").store);
  EXPECT_EQ(keeping("ttl=99999999999").ttl, ttl_max);
  EXPECT_TRUE(keeping("vary=client").vary_client);
  EXPECT_TRUE(keeping("vary=client").store);
  EXPECT_TRUE(keeping("vary=,client,").store);
  EXPECT_FALSE(keeping("vary=client,time").store);  // We have no key for the time.
  EXPECT_FALSE(keeping("vary=time&vary=client").store);
}

// One wrong value makes the whole answer invalid: nobody is let in or turned away by half an answer.
// Each mechanism's own proof, and nothing in its place.
TEST(Wire, AsksForTokensCertificatesAndKeys) {
  Question token = question_of("joe", "ya29.x");
  token.mechanism = "XOAUTH2";
  token.is_token = true;
  EXPECT_NE(verify_line(1, token)->reveal().find("&user=joe&token=ya29.x&client="), std::string_view::npos);
  Question certificate = question_of("", "");
  certificate.mechanism = "EXTERNAL";
  certificate.certificate = {"CN=joe,O=Example", "joe", "joe@example.test", "ab12"};
  EXPECT_NE(
      verify_line(1, certificate)
          ->reveal()
          .find("&user=&subject=CN%3Djoe%2CO%3DExample&common_name=joe&email=joe%40example.test&fingerprint=ab12&"),
      std::string_view::npos);
  Question keys = question_of("joe", "");
  keys.kind = Question::Kind::Scram;
  keys.mechanism = "SCRAM-SHA-256";
  EXPECT_TRUE(verify_line(1, keys)->reveal().starts_with("op=scram&id=1&protocol=imap&"));
  EXPECT_EQ(verify_line(1, keys)->reveal().find("password"), std::string_view::npos);
}

TEST(Wire, ReadsScramKeysAndNeverKeepsThem) {
  const std::string key(44 - 1, 'A');
  const Answer answer = answer_of("id=1&result=ok&iterations=4096&salt=AAAA&stored_key=" + key +
                                  "%3D&server_key=" + key + "%3D&sessions_max=3&proxy_protocol=v2&xclient=yes");
  const auto& accept = std::get<Accept>(answer.verdict);
  ASSERT_TRUE(accept.scram);
  EXPECT_EQ(accept.scram->iterations, 4096u);
  EXPECT_EQ(accept.scram->salt, std::string(3, '\0'));
  EXPECT_EQ(accept.scram->stored_key.size(), 32u);
  EXPECT_EQ(accept.route.sessions_max, 3u);
  EXPECT_EQ(accept.route.proxy_protocol, 2);
  EXPECT_EQ(accept.route.xclient, true);
  EXPECT_FALSE(answer.keeping.store);
}

TEST(Wire, RefusesInvalidAnswers) {
  const std::pair<const char*, const char*> cases[] = {
      {"id=1", "result is missing"},
      {"id=1&result=", "result is a word of another version"},
      {"id=1&result=OK", "result is a word of another version"},
      {"id=1&result=yes", "result is a word of another version"},
      {"id=1&result=error", "it does not understand the question"},
      {"id=1&result=reject&result=ok", "a key comes twice"},
      {"id=1&result=ok&user=a&user=b", "a key comes twice"},
      {"id=1&result=ok&back=mail.example.test", "back is not an address with or without a port"},
      {"id=1&result=ok&back=mail.example.test:143", "back is not an address with or without a port"},
      {"id=1&result=ok&back=", "back is not an address with or without a port"},
      {"id=1&result=ok&back=127.0.1.1&back=127.0.1.2:0", "back is not an address with or without a port"},
      {"id=1&result=ok&back=127.0.1.1:65536", "back is not an address with or without a port"},
      {"id=1&result=ok&back=[::1", "back is not an address with or without a port"},
      {"id=1&result=ok&back=127.0.1.1,127.0.1.2", "back is not an address with or without a port"},
      {"id=1&result=ok&back=127.0.1.1&pool=old", "back and pool exclude each other"},
      {"id=1&result=ok&moving_to=mail.example.test", "moving_to is not an address with or without a port"},
      {"id=1&result=ok&moving_to=127.0.1.1&moving_to=127.0.1.2", "a key comes twice"},
      {"id=1&result=ok&tls=yes", "tls is neither none, starttls nor implicit"},
      {"id=1&result=ok&mechanism=CRAM-MD5", "mechanism is none of LOGIN, PLAIN, XOAUTH2, OAUTHBEARER and EXTERNAL"},
      {"id=1&result=ok&proxy_protocol=yes", "proxy_protocol is neither v1 nor v2"},
      {"id=1&result=ok&xclient=1", "xclient is neither yes nor no"},
      {"id=1&result=ok&sessions_max=many", "sessions_max is no number"},
      {"id=1&result=ok&iterations=4096&salt=AAAA", "iterations, salt, stored_key and server_key go together"},
      {"id=1&result=ok&iterations=1&salt=AAAA&stored_key=AAAA&server_key=AAAA",
       "iterations is no number from 4096 to 10000000"},
      {"id=1&result=ok&iterations=4096&salt=AAAA&stored_key=AAAA&server_key=AAAA",
       "salt, stored_key or server_key is not the base64 of what it should be"},
      {"id=1&result=ok&password=", "password is empty"},
      {"id=1&result=ok&master_user=a", "master_user and master_password go together"},
      {"id=1&result=ok&master_password=a", "master_user and master_password go together"},
      {"id=1&result=ok&master_user=&master_password=a", "master_user and master_password go together"},
      {"id=1&result=ok&master_user=a&master_password=", "master_password is empty"},
      {"id=1&result=ok&master_user=a&master_password=b&password=c", "password and master_user exclude each other"},
      {"id=1&result=ok&ttl=5m", "ttl is no number of seconds"},
      {"id=1&result=ok&ttl=", "ttl is no number of seconds"},
      {"id=1&result=reject&ttl=-1", "ttl is no number of seconds"},
      {"id=1&result=reject&delay_ms=2s", "delay_ms is no number"},
  };
  for (const auto& [line, fault] : cases) {
    const Answer answer = answer_of(line);
    EXPECT_TRUE(std::holds_alternative<NotNow>(answer.verdict)) << line;
    EXPECT_EQ(answer.fault, fault) << line;
    EXPECT_FALSE(answer.keeping.store) << line;
  }
}

// The cache keeps verdicts packed; unpacked they are what they were.
TEST(Wire, PacksWithoutLoss) {
  const char* lines[] = {
      "result=ok",
      "result=ok&user=j%2647%0A11&password=%00%FF+x&back=127.0.1.1%3A143&back=%5B%3A%3A1%5D%3A144&tls=none"
      "&tls_name=a.test&mechanism=LOGIN",
      "result=ok&master_user=m&master_password=p&pool=old&tls=starttls",
      "result=ok&pool=old&moving_to=127.0.1.1%3A143&moving_to_tls_name=new.test&tls=starttls",
      "result=ok&back=127.0.1.1%3A993&tls=implicit&mechanism=PLAIN",
      "result=reject&reason=credentials&delay_ms=2000&code=LIMIT&text=a+b",
      "result=reject&reason=not_allowed",
      "result=reject&reason=disabled",
      "result=unavailable&text=later",
      "result=unavailable",
  };
  for (const char* line : lines) {
    const Answer answer = answer_of("id=1&" + std::string(line));
    EXPECT_EQ(answer.fault, "") << line;
    EXPECT_EQ(pack(answer.verdict).reveal(), line);
    EXPECT_EQ(pack(clone(answer.verdict)).reveal(), line);
  }
  Accept accept;
  accept.route.user = std::string(line_size_max, 'x');
  EXPECT_TRUE(pack(std::move(accept)).empty());
}

}  // namespace
}  // namespace postern::auth
