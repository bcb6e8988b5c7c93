// SPDX-License-Identifier: GPL-3.0-or-later
// The desk towards the helper: connecting, losing it, and the sentences that the operator reads.
#include <gtest/gtest.h>

#include <string>

#include "auth/desk.h"
#include "desk_room.h"

namespace postern::auth {
namespace {

class DeskConnection : public DeskRoom {};

const std::string away = "result=unavailable&text=the+helper+is+away";
const std::string slow = "result=unavailable&text=the+helper+did+not+answer+in+time";
const std::string left = "result=unavailable&text=the+helper+left+without+an+answer";

std::string up_line() {
  return "helper state=up name=test-helper";
}
std::string down_line(const std::string& why) {
  return "helper state=down socket=/run/postern/auth.sock text=\"The helper is away: " + why +
         ". Logins wait or are put off until it is back.\"";
}

// No question, and no password, goes to a peer that has not said who it is.
TEST_F(DeskConnection, WaitsForTheHello) {
  EXPECT_LE(desk.next_deadline(), now);
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent(), Lines{});
  desk.on_connecting(now);
  EXPECT_EQ(sent(), Lines{});
  desk.on_connected(now);
  EXPECT_EQ(sent(), Lines{"op=hello&version=1&name=postern"});
  EXPECT_EQ(sent(), Lines{});
  for (const char byte : std::string("op=hello&version=1&name=test-helper")) {
    desk.on_received(std::string_view(&byte, 1), now);
    EXPECT_EQ(sent(), Lines{});
  }
  say("");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  EXPECT_EQ(answers(), (Answers{{1, ok_line}}));
  EXPECT_EQ(logs(), Lines{up_line()});
}

// A helper may speak first.
TEST_F(DeskConnection, TakesAnEarlyHello) {
  desk.on_connecting(now);
  desk.on_connected(now);
  EXPECT_EQ(ask(1), "(later)");
  say("op=hello&version=1");
  const Lines lines = sent();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "op=hello&version=1&name=postern");
  EXPECT_TRUE(lines[1].starts_with("op=verify&id=1&"));
  say("op=hello&version=2");  // once is enough
  EXPECT_FALSE(desk.must_disconnect());
}

// 100 ms, doubled up to 5 s, from the start again after a hello.
TEST_F(DeskConnection, BacksOff) {
  for (const Duration pause : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    fail_to_connect();
    EXPECT_FALSE(desk.wants_connection(now + pause - 1ms));
    EXPECT_TRUE(desk.wants_connection(now + pause));
    EXPECT_LE(desk.next_deadline(), now + pause);
    wait(pause);
  }
  connect();
  lose();
  EXPECT_FALSE(desk.wants_connection(now + 99ms));
  EXPECT_TRUE(desk.wants_connection(now + 100ms));
}

TEST_F(DeskConnection, SaysChangesOnce) {
  for (int i = 0; i < 5; ++i) {
    fail_to_connect();
    wait(5s);
  }
  EXPECT_EQ(logs(), Lines{down_line("it cannot be reached (Connection refused)")});
  connect();
  EXPECT_EQ(logs(), Lines{up_line()});
  lose();
  EXPECT_EQ(logs(), Lines{down_line("it closed the connection")});
  wait(100ms);
  connect();
  EXPECT_EQ(logs(), Lines{up_line()});
}

// A helper that comes and goes ten times a second gets six lines a minute, and the last word is true.
TEST_F(DeskConnection, DoesNotFloodTheLog) {
  connect();
  size_t lines = logs().size();
  for (int i = 0; i < 100; ++i) {
    lose();
    wait(100ms);
    connect();
  }
  lose();
  for (int i = 0; i < 9; ++i) {
    wait(100ms);
    fail_to_connect();
    wait(4900ms);
  }
  lines += logs().size();
  EXPECT_EQ(lines, 6u);
  wait(5s);
  EXPECT_EQ(logs(), Lines{});  // the sixth line said "down", and it is
  connect();
  EXPECT_EQ(logs(), Lines{up_line()});
}

TEST_F(DeskConnection, SaysTheLastStateInTheEnd) {
  connect();
  for (int i = 0; i < 3; ++i) {
    lose();
    wait(100ms);
    connect();
  }
  EXPECT_EQ(logs().size(), 6u);  // up, down, up, down, up, down, and the last up is not said yet
  EXPECT_LT(desk.next_deadline(), instant_never);
  wait(1min);
  EXPECT_EQ(logs(), Lines{up_line()});
  EXPECT_EQ(desk.next_deadline(), instant_never);
}

// A restart of the helper goes unnoticed: the question waits, and is put again on the new connection.
TEST_F(DeskConnection, PutsQuestionsAgain) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  lose();
  EXPECT_EQ(ask(2, "ann"), "(later)");
  EXPECT_EQ(ask(3), "(later)");
  EXPECT_EQ(sent(), Lines{});
  wait(100ms);
  connect();
  EXPECT_EQ(sent_ids(), (Ids{1, 2}));
  answer(2, ok_line);
  answer(1, ok_line);
  EXPECT_EQ(answers(), (Answers{{1, ok_line}, {2, ok_line}, {3, ok_line}}));
}

// Once, for it may be the question that the helper dies of.
TEST_F(DeskConnection, PutsAQuestionAgainOnlyOnce) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  lose();
  wait(100ms);
  connect();
  EXPECT_EQ(ask(2, "ann"), "(later)");
  EXPECT_EQ(sent_ids(), (Ids{1, 2}));
  lose();
  EXPECT_EQ(answers(), (Answers{{1, left}}));
  wait(100ms);
  connect();
  EXPECT_EQ(sent_ids(), Ids{2});
}

// A late answer cannot come on another connection: whatever has its id there is the helper's mistake.
TEST_F(DeskConnection, ExpectsNoLateAnswersOnTheNextConnection) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  wait(5s);
  EXPECT_EQ(answers(), (Answers{{1, slow}}));
  lose();
  wait(100ms);
  connect();
  answer(1, ok_line);
  EXPECT_EQ(desk.report().late, 0u);
  EXPECT_EQ(ask(2), "(later)");
}

TEST_F(DeskConnection, DoesNotPutAgainForNobody) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  desk.forget(1);
  lose();
  EXPECT_EQ(desk.report().in_flight, 0u);
  wait(100ms);
  connect();
  EXPECT_EQ(sent_ids(), Ids{});
  answer(1, ok_line);  // from another life: nobody asked this on this connection
  EXPECT_EQ(ask(2), "(later)");
}

// The helper sends half an answer and dies; half an answer logs nobody in, not even when the rest seems to follow.
TEST_F(DeskConnection, DropsHalfAnAnswer) {
  connect();
  logs();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  desk.on_received("id=1&result=ok&back=127.0.1.1", now);
  lose();
  EXPECT_EQ(answers(), Answers{});
  EXPECT_EQ(logs(), Lines{down_line("it left in the middle of a line")});
  wait(100ms);
  desk.on_connecting(now);
  desk.on_connected(now);
  say("");
  EXPECT_EQ(answers(), Answers{});
  lose();
  wait(5s);
  EXPECT_EQ(answers(), (Answers{{1, slow}}));
  connect();
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  answer(2, ok_line);
  EXPECT_EQ(answers(), (Answers{{2, ok_line}}));
}

// 100,000 octets of nonsense for each question: a temporary failure, bounded memory, one line in the log, no password.
TEST_F(DeskConnection, LeavesAHelperThatTalksNonsense) {
  connect();
  logs();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  desk.on_received(std::string(100000, '\xff'), now);
  EXPECT_TRUE(desk.must_disconnect());
  desk.on_received("\nid=1&result=ok\n", now);
  EXPECT_EQ(sent(), Lines{});
  EXPECT_EQ(answers(), Answers{});
  lose();
  EXPECT_FALSE(desk.must_disconnect());
  wait(100ms);
  connect();
  EXPECT_EQ(sent_ids(), Ids{1});
  for (int i = 0; i < 100000; ++i)
    desk.on_received("\xff", now);
  EXPECT_TRUE(desk.must_disconnect());
  lose();
  EXPECT_EQ(answers(), (Answers{{1, left}}));
  EXPECT_EQ(logs(), (Lines{down_line("it sent a line of more than 16 KiB"), up_line(),
                           down_line("it sent a line of more than 16 KiB")}));
}

TEST_F(DeskConnection, LeavesAtAMalformedLine) {
  for (const char* line : {"HTTP/1.1 400 Bad Request", "id=x&result=ok", "id=1&result=ok&user=%", "op=invalidate"}) {
    connect();
    say(line);
    EXPECT_TRUE(desk.must_disconnect()) << line;
    say("id=1&result=ok");
    lose();
    wait(1min);
  }
}

// Words of a later version are no nonsense.
TEST_F(DeskConnection, StaysAtAnUnknownWord) {
  connect();
  logs();
  say("op=scram-keys&user=joe");
  say("op=scram-keys&user=ann");
  say("result=error");
  EXPECT_FALSE(desk.must_disconnect());
  EXPECT_EQ(logs(), Lines{"helper problem=unknown op=scram-keys count=1"});
}

TEST_F(DeskConnection, LeavesAHelperThatDoesNotSayHello) {
  desk.on_connecting(now);
  wait(4s);
  desk.on_connected(now);
  wait(4999ms);
  EXPECT_FALSE(desk.must_disconnect());
  wait(1ms);
  EXPECT_TRUE(desk.must_disconnect());
  lose();
  EXPECT_EQ(logs(), Lines{down_line("it does not say hello")});
}

TEST_F(DeskConnection, GivesUpAConnectionThatIsNotTaken) {
  desk.on_connecting(now);
  wait(5s);
  EXPECT_TRUE(desk.must_disconnect());
  desk.on_connected(now);
  EXPECT_TRUE(desk.must_disconnect());
  lose();
  EXPECT_EQ(logs(), Lines{down_line("it does not take the connection")});
}

// A helper of another version, or no helper at all: an error that says what to do, and no hurry to come back.
struct Stranger {
  const char* line;
  const char* why;
};
class DeskStranger : public DeskRoom, public testing::WithParamInterface<Stranger> {};

TEST_P(DeskStranger, IsLeft) {
  EXPECT_EQ(ask(1), "(later)");
  desk.on_connecting(now);
  desk.on_connected(now);
  sent();
  say(GetParam().line);
  EXPECT_TRUE(desk.must_disconnect());
  EXPECT_EQ(sent(), Lines{});
  lose();
  EXPECT_EQ(answers(), (Answers{{1, left}}));
  const std::optional<LogLine> logged = desk.next_log();
  ASSERT_TRUE(logged);
  EXPECT_EQ(logged->text(), down_line(GetParam().why));
  EXPECT_EQ(logged->severity(), Severity::Error);
  EXPECT_EQ(ask(2), away);
  EXPECT_FALSE(desk.wants_connection(now + 29999ms));
  wait(30s);
  connect();
  EXPECT_EQ(ask(3), "(later)");
}

INSTANTIATE_TEST_SUITE_P(
    , DeskStranger,
    testing::Values(
        Stranger{"op=hello&version=2&name=new",
                 "it speaks version 2 of the protocol and this gate version 1; install helper and gate of one "
                 "release"},
        Stranger{"op=hello",
                 "it speaks version 0 of the protocol and this gate version 1; install helper and gate of one "
                 "release"},
        Stranger{"result=error", "it does not understand our hello; it is no helper, or one of another version"}));

// While the helper is away, questions wait for it; when it has been away for longer than they would wait, they are
// answered at once.
TEST_F(DeskConnection, PutsOffAtOnceWhenAwayForLong) {
  connect();
  lose();
  wait(100ms);
  fail_to_connect();
  EXPECT_EQ(ask(1), "(later)");
  wait(4899ms);
  EXPECT_EQ(ask(2, "ann"), "(later)");
  wait(1ms);
  EXPECT_EQ(ask(3, "bob"), away);
  EXPECT_EQ(answers(), Answers{});
  wait(100ms);
  EXPECT_EQ(answers(), (Answers{{1, slow}}));
  connect();
  EXPECT_EQ(sent_ids(), Ids{2});
  EXPECT_EQ(ask(4, "bob"), "(later)");
}

// Never connected yet: the same.
TEST_F(DeskConnection, WaitsAtTheStart) {
  EXPECT_EQ(ask(1), "(later)");
  fail_to_connect();
  wait(5s);
  EXPECT_EQ(answers(), (Answers{{1, slow}}));
  EXPECT_EQ(ask(2), away);
  EXPECT_EQ(logs(), Lines{down_line("it cannot be reached (Connection refused)")});  // and no time-out beside it
}

TEST_F(DeskConnection, UsesStaleVerdictsWhileAway) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  answers();
  lose();
  EXPECT_EQ(ask(2), ok_line);  // fresh
  wait(1min);
  EXPECT_EQ(cache.report().stale, 0u);
  EXPECT_EQ(ask(3), ok_line);  // stale
  EXPECT_EQ(cache.report().stale, 1u);
  EXPECT_EQ(ask(4, "joe", "other"), away);
  wait(58min);
  EXPECT_EQ(ask(5), ok_line);
  wait(2min);
  EXPECT_EQ(ask(6), away);
  connect();
  EXPECT_EQ(ask(7), "(later)");
}

// A question is put, the helper dies twice: the expired verdict answers for it.
TEST_F(DeskConnection, UsesStaleVerdictsForQuestionsThatTheHelperDiedOf) {
  connect();
  EXPECT_EQ(ask(1), "(later)");
  EXPECT_EQ(sent_ids(), Ids{1});
  answer(1, ok_line);
  answers();
  wait(61s);
  EXPECT_EQ(ask(2), "(later)");
  EXPECT_EQ(sent_ids(), Ids{2});
  lose();
  wait(100ms);
  connect();
  EXPECT_EQ(sent_ids(), Ids{2});
  lose();
  EXPECT_EQ(answers(), (Answers{{2, ok_line}}));
}

TEST_F(DeskConnection, IgnoresReportsThatDoNotFit) {
  lose();
  desk.on_connected(now);
  desk.on_received("op=hello&version=1\n", now);
  EXPECT_FALSE(desk.report().connected);
  EXPECT_EQ(sent(), Lines{});
  EXPECT_TRUE(desk.wants_connection(now));
}

// Output comes in pieces that a socket takes; what was not taken yet can still time out unput.
TEST(DeskOutput, IsBounded) {
  Options options;
  options.in_flight_max = 100;
  Cache cache(options.cache, fake_hash);
  Desk desk(options, cache);
  const Instant now = Instant{} + 1h;
  desk.on_connecting(now);
  desk.on_connected(now);
  desk.on_received("op=hello&version=1\n", now);
  for (Ticket ticket = 1; ticket <= 100; ++ticket) {
    const Question question = question_of(std::string(3000, 'x') + std::to_string(ticket), "y");
    ASSERT_FALSE(desk.ask(question, ticket, now));
  }
  size_t pieces = 0;
  for (Secret output = desk.take_output(); !output.empty(); output = desk.take_output()) {
    EXPECT_LE(output.size(), 64 * 1024 + line_size_max);
    EXPECT_TRUE(output.reveal().ends_with('\n'));
    ++pieces;
    if (pieces == 3) desk.on_time(now + options.timeout);
  }
  EXPECT_EQ(pieces, 3u);
  EXPECT_LT(desk.report().asked, 100u);
  EXPECT_EQ(desk.report().timed_out, 100u);
}

}  // namespace
}  // namespace postern::auth
