// SPDX-License-Identifier: GPL-3.0-or-later
// The desk towards sessions: who gets which verdict, and when.
#include "auth/desk.h"

#include <gtest/gtest.h>

#include <string>

#include "desk_room.h"

namespace postern::auth {
namespace {

class DeskQuestions : public DeskRoom {
 protected:
  DeskQuestions() {
    connect();
    logs();
  }
  explicit DeskQuestions(const Options& options) : DeskRoom(options) {
    connect();
    logs();
  }
};

TEST_F(DeskQuestions, AsksOnceAndRemembers) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent(),
            Lines{"op=verify&id=1&protocol=imap&listener=imap-993&mechanism=LOGIN&user=joe&password=secret"
                  "&client=203.0.113.7%3A4711&local=192.0.2.1%3A993&tls=TLSv1.3&sni=mail.example.test&session=9f2c"});
  EXPECT_EQ(sent(), Lines{});
  answer(1, "result=ok&back=127.0.1.1");
  EXPECT_EQ(answers(), (Answers{{1, ok_line}}));
  EXPECT_EQ(ask(2), ok_line);
  EXPECT_EQ(sent(), Lines{});
  EXPECT_EQ(desk.report().asked, 1u);
  EXPECT_EQ(desk.report().answered, 1u);
  EXPECT_EQ(desk.report().in_flight, 0u);
}

// An answer may come in any pieces, and several in one; answers need not keep the questions' order.
TEST_F(DeskQuestions, DoesNotCareWhereAnswersAreCut) {
  const std::string stream =
      "\nid=2&result=reject\r\nop=later&id=1\nid=77&result=ok\nop=invalidate&user=x\n"
      "id=1&result=ok&back=[::1]\nid=1&result=reject\n";
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    for (const bool bytewise : {false, true}) {
      Cache own_cache(default_options().cache, fake_hash);
      Desk own_desk(default_options(), own_cache);
      own_desk.on_connecting(now);
      own_desk.on_connected(now);
      own_desk.on_received("op=hello&version=1\n", now);
      ASSERT_EQ(own_desk.ask(question_of("joe", "a"), 1, now), std::nullopt);
      ASSERT_EQ(own_desk.ask(question_of("joe", "b"), 2, now), std::nullopt);
      ASSERT_FALSE(own_desk.take_output().empty());
      for (size_t i = 0; bytewise && i < cut; ++i)
        own_desk.on_received(stream.substr(i, 1), now);
      if (!bytewise) own_desk.on_received(stream.substr(0, cut), now);
      own_desk.on_received(stream.substr(cut), now);
      EXPECT_FALSE(own_desk.must_disconnect());
      Answers heard;
      while (std::optional<DeskAnswer> answer = own_desk.next_answer())
        heard[answer->ticket] = words(answer->verdict);
      EXPECT_EQ(heard, (Answers{{1, "result=ok&back=%5B%3A%3A1%5D%3A143"}, {2, reject_line}})) << "cut at " << cut;
    }
  }
}

TEST_F(DeskQuestions, OneQuestionServesAllWhoWait) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  EXPECT_EQ(ask(3), "(later)");
  Question other_session = question_of("joe", "secret", "203.0.113.7:9");
  other_session.session_id = "other";
  EXPECT_EQ(ask(4, other_session), "(later)");
  EXPECT_EQ(ask(5, "joe", "other"), "(later)");
  EXPECT_EQ(ask(6, question_of("joe", "secret", "203.0.113.8:1")), "(later)");
  EXPECT_EQ(sent_ids(), (Ids{2, 3}));
  EXPECT_EQ(desk.report().waiting, 6u);
  answer(1, "result=ok&password=p");
  const std::string accepted = "result=ok&password=p";
  EXPECT_EQ(answers(), (Answers{{1, accepted}, {2, accepted}, {3, accepted}, {4, accepted}}));
  answer(2, "result=reject");
  answer(3, "result=ok");
  EXPECT_EQ(answers(), (Answers{{5, reject_line}, {6, "result=ok"}}));
  EXPECT_EQ(desk.report().shared, 3u);
}

TEST_F(DeskQuestions, ForgetsWhoIsGone) {
  desk.forget(99);
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  desk.forget(1);
  answer(1, ok_line);
  EXPECT_EQ(answers(), (Answers{{2, ok_line}}));
  desk.forget(2);

  // Before it was put: it never is.
  EXPECT_EQ(ask(3, "ann"), "(later)");
  desk.forget(3);
  EXPECT_EQ(sent_ids(), Ids{});
  EXPECT_EQ(desk.report().in_flight, 0u);

  // When the answer is already out for it.
  EXPECT_EQ(ask(4, "bob"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{3});
  answer(3, ok_line);
  desk.forget(4);
  EXPECT_EQ(answers(), Answers{});
}

// A mail program that reconnects impatiently finds its first question still in flight, and the answer in the cache.
TEST_F(DeskQuestions, KeepsAPutQuestionWhoseSessionIsGone) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  desk.forget(1);
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{});
  answer(1, ok_line);
  EXPECT_EQ(answers(), (Answers{{1, ok_line}, {2, ok_line}}));

  EXPECT_EQ(ask(3, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  desk.forget(3);
  answer(2, ok_line);
  EXPECT_EQ(answers(), Answers{});
  EXPECT_EQ(ask(4, "ann"), ok_line);
}

TEST_F(DeskQuestions, TimesOut) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  wait(4s);
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(ask(3, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  wait(999ms);
  EXPECT_EQ(answers(), Answers{});
  wait(1ms);
  const std::string slow = "result=unavailable&text=the+helper+did+not+answer+in+time";
  EXPECT_EQ(answers(), (Answers{{1, slow}, {2, slow}}));
  wait(4s);
  EXPECT_EQ(answers(), (Answers{{3, slow}}));
  EXPECT_EQ(desk.report().timed_out, 2u);
  EXPECT_EQ(desk.next_deadline(), instant_never);
  EXPECT_EQ(logs(),
            Lines{"helper problem=timeout user=joe count=1 text=\"The helper does not answer in time; these logins "
                  "are put off.\""});
}

TEST_F(DeskQuestions, SaysTimeoutsNowAndThen) {
  for (Ticket ticket = 1; ticket <= 4; ++ticket) {
    EXPECT_EQ(ask(ticket, "user" + std::to_string(ticket)), "(later)");
    EXPECT_EQ(sent_ids().size(), 1u);
  }
  wait(5s);
  EXPECT_EQ(logs().size(), 1u);
  wait(6s);
  EXPECT_EQ(ask(5), "(later)");
  EXPECT_EQ(sent_ids().size(), 1u);
  wait(5s);
  const Lines lines = logs();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("count=4"), lines[0].npos) << lines[0];
}

// The answer that came too late for its session is still right for the next one.
TEST_F(DeskQuestions, LateAnswersGoIntoTheCache) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  wait(6s);
  EXPECT_EQ(answers().size(), 1u);
  answer(1, ok_line);
  EXPECT_EQ(answers(), Answers{});
  EXPECT_EQ(desk.report().late, 1u);
  EXPECT_EQ(ask(2), ok_line);
  answer(1, reject_line);  // twice is not more
  EXPECT_EQ(ask(3), ok_line);
}

// Late answers are awaited for as many questions as may be in flight, the latest ones.
TEST_F(DeskQuestions, AwaitsABoundedNumberOfLateAnswers) {
  for (Ticket ticket = 1; ticket <= 8; ++ticket) {
    EXPECT_EQ(ask(ticket, "user" + std::to_string(ticket)), "(later)");
    EXPECT_EQ(sent_ids(), Ids{ticket});
    if (ticket == 4) wait(5s);
  }
  wait(5s);
  EXPECT_EQ(answers().size(), 8u);
  for (uint64_t id = 1; id <= 8; ++id)
    answer(id, ok_line);
  EXPECT_EQ(desk.report().late, 4u);
  EXPECT_EQ(ask(9, "user4"), "(later)");
  EXPECT_EQ(ask(10, "user5"), ok_line);
}

// But not when the same question was put again since: then the newer answer counts.
TEST_F(DeskQuestions, LateAnswersDoNotOverrideNewerOnes) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  wait(6s);
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  answer(2, reject_line);
  answers();
  logs();
  answer(1, ok_line);
  EXPECT_EQ(ask(3), reject_line);
}

TEST_F(DeskQuestions, LimitsTheQuestionsInFlight) {
  for (Ticket ticket = 1; ticket <= 4; ++ticket)
    EXPECT_EQ(ask(ticket, "user" + std::to_string(ticket)), "(later)");
  const std::string overload = "result=unavailable&text=too+many+questions+are+in+flight";
  EXPECT_EQ(ask(5), overload);
  EXPECT_EQ(ask(6), overload);
  EXPECT_EQ(logs(),
            Lines{"helper problem=overload count=1 text=\"Too many questions are in flight; further logins are put "
                  "off.\""});
  EXPECT_EQ(ask(7, "user1"), "(later)");  // who can join costs nothing
  EXPECT_EQ(sent_ids(), (Ids{1, 2, 3, 4}));
  answer(3, ok_line);
  EXPECT_EQ(ask(8), "(later)");
  EXPECT_EQ(desk.report().overloaded, 2u);
  wait(5s);
  EXPECT_EQ(answers().size(), 6u);
  EXPECT_EQ(desk.report().in_flight, 0u);
}

TEST_F(DeskQuestions, PutsOffWhatNoLineHolds) {
  EXPECT_EQ(ask(1, std::string(4096, '\xff'), std::string(4096, '\xff')),
            "result=unavailable&text=the+credentials+are+too+long+to+ask+the+helper");
  EXPECT_EQ(desk.report().in_flight, 0u);
  EXPECT_EQ(ask(1), "(later)");
}

// An invalid answer is a failure, not a mismatch, and the connection lives on. The log names user and fault, no value.
TEST_F(DeskQuestions, PutsOffInvalidAnswers) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(ask(2, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), (Ids{1, 2}));
  answer(1, "result=ok&back=mail.example.test&password=back-secret");
  answer(2, "result=maybe");
  const std::string invalid = "result=unavailable&text=the+helper%27s+answer+is+invalid";
  EXPECT_EQ(answers(), (Answers{{1, invalid}, {2, invalid}}));
  EXPECT_FALSE(desk.must_disconnect());
  EXPECT_EQ(desk.report().malformed, 2u);
  EXPECT_EQ(logs(),
            Lines{"helper problem=answer user=joe count=1 text=\"The helper's answer is invalid: back is not an "
                  "address with or without a port. The login is put off.\""});
  EXPECT_EQ(ask(3), "(later)");
}

TEST_F(DeskQuestions, PassesOnUnavailable) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, "result=unavailable&text=database+is+down");
  EXPECT_EQ(answers(), (Answers{{1, "result=unavailable&text=database+is+down"}}));
  EXPECT_EQ(ask(2), "(later)");
}

// A refusal repeats from the cache for seconds; then the helper is asked before it is said again.
TEST_F(DeskQuestions, AsksAgainBeforeItRefusesAgain) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, "result=reject&delay_ms=2000");
  answers();
  wait(2s);
  EXPECT_EQ(ask(2), "result=reject&reason=credentials&delay_ms=2000");
  wait(1s);
  EXPECT_EQ(ask(3), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  answer(2, ok_line);
  EXPECT_EQ(answers(), (Answers{{3, ok_line}}));
}

// Joe is cached, but each login must prove its own password.
TEST_F(DeskQuestions, AsksForAnotherPassword) {
  EXPECT_EQ(ask(1, "joe@example.test", "secret"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  answers();
  EXPECT_EQ(ask(2, "joe@example.test", "wrong"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  answer(2, reject_line);
  EXPECT_EQ(answers(), (Answers{{2, reject_line}}));
  EXPECT_EQ(ask(3, "joe@example.test", "secret"), ok_line);
}

// "joe<TAB>pass=x<LF>verify ann" is one question about somebody with a silly name.
TEST_F(DeskQuestions, AsksOneQuestionForAHostileName) {
  EXPECT_EQ(ask(1, "joe\tpass=x\n\nverify ann%00 {\"a\":1}\nop=verify&id=9&user=ann"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, reject_line);
  EXPECT_EQ(answers(), (Answers{{1, reject_line}}));
}

TEST_F(DeskQuestions, RenamesTheUser) {
  EXPECT_EQ(ask(1, "joe@example.test", "secret"), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, "result=ok&user=j4711&back=127.0.1.1");
  EXPECT_EQ(answers(), (Answers{{1, "result=ok&user=j4711&back=127.0.1.1%3A143"}}));
  say("op=invalidate&user=J4711");
  EXPECT_EQ(ask(2, "joe@example.test", "secret"), "(later)");
}

TEST_F(DeskQuestions, TakesThePortsOfTheDialect) {
  Question question = question_of("joe", "secret");
  question.protocol = "pop3";
  question.back_ports = {110, 995};
  EXPECT_EQ(ask(1, question), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, "result=ok&back=[::1]");
  EXPECT_EQ(answers(), (Answers{{1, "result=ok&back=%5B%3A%3A1%5D%3A110"}}));
}

// An invalidation that overtakes the answer: who asked gets it, nobody else does.
TEST_F(DeskQuestions, DoesNotKeepAnswersOlderThanAnInvalidation) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(ask(2, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), (Ids{1, 2}));
  say("op=invalidate&user=joe");
  EXPECT_EQ(ask(3), "(later)");  // does not join the question that is out of date
  EXPECT_EQ(ask(4), "(later)");  // but this one
  EXPECT_EQ(sent_ids(), Ids{3});
  answer(1, ok_line);
  answer(2, ok_line);
  EXPECT_EQ(answers(), (Answers{{1, ok_line}, {2, ok_line}}));
  EXPECT_EQ(ask(5), "(later)");
  EXPECT_EQ(ask(6, "ann"), ok_line);
  answer(3, "result=reject");
  EXPECT_EQ(answers(), (Answers{{3, reject_line}, {4, reject_line}, {5, reject_line}}));
  say("op=invalidate&user=*");
  EXPECT_EQ(ask(7, "ann"), "(later)");
}

TEST_F(DeskQuestions, DoesNotKeepLateAnswersOlderThanAnInvalidation) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  wait(6s);
  answers();
  cache.invalidate("joe");
  answer(1, ok_line);
  EXPECT_EQ(ask(2), "(later)");
}

// An invalidation between handing in and putting does no harm: the helper is asked after it.
TEST_F(DeskQuestions, KeepsAnswersToQuestionsPutAfterAnInvalidation) {
  EXPECT_EQ(ask(1), "(later)");
  cache.invalidate("joe");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  EXPECT_EQ(ask(2), ok_line);
}

// The helper goes silent. An expired verdict answers when the question times out; from then on it answers at once,
// while the helper is still asked, so that its first answer ends this.
TEST_F(DeskQuestions, UsesStaleVerdictsWhileTheHelperIsSilent) {
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  answers();
  wait(60s);
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  wait(5s);
  EXPECT_EQ(answers(), (Answers{{2, ok_line}}));
  EXPECT_EQ(ask(3), ok_line);
  EXPECT_EQ(ask(4), ok_line);
  EXPECT_EQ(ask(5, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), (Ids{3, 4}));
  answer(3, "result=reject&reason=disabled");
  EXPECT_EQ(answers(), Answers{});
  EXPECT_EQ(ask(6), "result=reject&reason=disabled");
  answer(4, ok_line);
  EXPECT_EQ(answers(), (Answers{{5, ok_line}}));
}

// So it does when the helper says itself that it cannot say; a helper that means "not this user" invalidates first.
TEST_F(DeskQuestions, UsesStaleVerdictsWhenTheHelperCannotSay) {
  for (const char* trouble : {"result=unavailable&text=database+is+down", "result=error", "result=ok&back=nonsense"}) {
    EXPECT_EQ(ask(1), "(later)");
    answer(sent_ids().at(0), ok_line);
    answers();
    wait(61s);
    EXPECT_EQ(ask(2), "(later)");
    answer(sent_ids().at(0), trouble);
    EXPECT_EQ(answers(), (Answers{{2, ok_line}})) << trouble;
    say("op=invalidate&user=joe");
    EXPECT_EQ(ask(3), "(later)");
    answer(sent_ids().at(0), "result=unavailable");
    EXPECT_EQ(answers(), (Answers{{3, "result=unavailable"}}));
  }
}

class DeskWithoutCache : public DeskQuestions {
 protected:
  static Options options() {
    Options options = default_options();
    options.cache = CacheOptions{0, 0, 60s, 30s, 1h};
    return options;
  }
  DeskWithoutCache() : DeskQuestions(options()) {}
};

TEST_F(DeskWithoutCache, AsksEachTimeButSharesQuestions) {
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(ask(1), "(later)");
    EXPECT_EQ(ask(2), "(later)");
    EXPECT_EQ(sent_ids(), Ids{id});
    answer(id, ok_line);
    EXPECT_EQ(answers(), (Answers{{1, ok_line}, {2, ok_line}}));
  }
}

}  // namespace
}  // namespace postern::auth
